"""A schema of two revisions, as a package would keep it."""

import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import inspect, text

from workspace import database
from workspace.database import open_database, sqlite_url
from workspace.errors import InputError

ENV = """
from alembic import context

if hasattr(context, "config"):
    context.configure(connection=context.config.attributes["connection"])
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = """
import sqlalchemy as sa
from alembic import op

revision = {name!r}
down_revision = {before!r}


def upgrade():
    op.create_table("{name}_first", sa.Column("x", sa.Integer, primary_key=True))
    {then}
    op.create_table("{name}_second", sa.Column("x", sa.Integer, primary_key=True))
"""


@pytest.fixture
def migrations(tmp_path):
    folder = tmp_path / "100% migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    write_revision(folder, "one", None)
    write_revision(folder, "two", "one")
    return folder


def write_revision(folder, name, before, then="pass"):
    text_ = REVISION.format(name=name, before=before, then=then)
    (folder / "versions" / f"{name}.py").write_text(text_)


def opened(path, migrations, revisions=("one", "two")):
    return open_database(
        sqlite_url(path), migrations=migrations, revisions=revisions, what="the store of apples"
    )


def tables(engine):
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


def revision(engine):
    with engine.connect() as connection:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def test_a_new_database_gets_the_last_schema(tmp_path, migrations):
    engine = opened(tmp_path / "a.db", migrations)
    assert tables(engine) == {"one_first", "one_second", "two_first", "two_second"}
    assert revision(engine) == "two"


def test_an_older_one_is_migrated_and_keeps_its_rows(tmp_path, migrations):
    last = migrations / "versions" / "two.py"
    kept = last.rename(tmp_path / "two.py")
    with opened(tmp_path / "a.db", migrations, ("one",)).begin() as connection:
        connection.execute(text("INSERT INTO one_first VALUES (7)"))
    kept.rename(last)
    engine = opened(tmp_path / "a.db", migrations)
    assert revision(engine) == "two"
    with engine.connect() as connection:
        assert connection.execute(text("SELECT x FROM one_first")).scalar() == 7


def test_one_that_is_up_to_date_needs_no_alembic(tmp_path, migrations, monkeypatch):
    opened(tmp_path / "a.db", migrations)
    monkeypatch.setattr(database, "_upgrade", None)
    assert revision(opened(tmp_path / "a.db", migrations)) == "two"


def test_a_newer_one_is_refused_unchanged(tmp_path, migrations):
    engine = opened(tmp_path / "a.db", migrations)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from_the_future'"))
    message = r"the store of apples was written by a newer version \(schema from_the_future\)"
    with pytest.raises(InputError, match=message):
        opened(tmp_path / "a.db", migrations)
    assert revision(engine) == "from_the_future"


def test_a_file_that_is_no_database_is_refused_unchanged(tmp_path, migrations):
    (tmp_path / "a.db").write_bytes(b"my diary, chapter one" * 100)
    with pytest.raises(InputError, match="apples cannot be opened: file is not a database"):
        opened(tmp_path / "a.db", migrations)
    assert (tmp_path / "a.db").read_bytes() == b"my diary, chapter one" * 100


def test_a_folder_that_is_not_there_is_refused(tmp_path, migrations):
    with pytest.raises(InputError, match="unable to open"):
        opened(tmp_path / "nowhere" / "a.db", migrations)


@pytest.mark.parametrize("url", ["", "apples", "nosuchkind://host/apples"])
def test_a_url_that_is_none_is_quoted(url, migrations):
    with pytest.raises(InputError, match=f"{url!r} is no usable database URL"):
        open_database(url, migrations=migrations, revisions=("one",), what="the store of apples")


def test_a_migration_that_fails_half_way_leaves_nothing(tmp_path, migrations):
    write_revision(migrations, "two", "one", then="raise RuntimeError('power cut')")
    with pytest.raises(RuntimeError, match="power cut"):
        opened(tmp_path / "a.db", migrations)
    write_revision(migrations, "two", "one")
    shutil.rmtree(migrations / "versions" / "__pycache__", ignore_errors=True)
    engine = opened(tmp_path / "a.db", migrations)
    assert tables(engine) == {"one_first", "one_second", "two_first", "two_second"}


def test_threads_may_open_a_new_one_at_once(tmp_path, migrations):
    with ThreadPoolExecutor(8) as pool:
        engines = list(pool.map(lambda _: opened(tmp_path / "a.db", migrations), range(8)))
    assert {revision(engine) for engine in engines} == {"two"}


def test_processes_may_open_a_new_one_at_once(tmp_path, migrations):
    code = (
        "import sys; from pathlib import Path; "
        "from workspace.database import open_database, sqlite_url; "
        "sys.stdin.read(1); "
        "open_database(sqlite_url(Path(sys.argv[1])), migrations=Path(sys.argv[2]), "
        "revisions=('one', 'two'), what='the store of apples')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.db"), str(migrations)]
    here = Path(database.__file__).parents[1]
    started = [
        subprocess.Popen(command, cwd=here, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    with ThreadPoolExecutor(4) as pool:  # lets all of them go at once
        errors = list(pool.map(lambda process: process.communicate(b"!", timeout=60)[1], started))
    assert errors == [b""] * 4
    assert revision(opened(tmp_path / "a.db", migrations)) == "two"


def test_readers_go_on_while_someone_writes(tmp_path, migrations):
    engine = opened(tmp_path / "a.db", migrations)
    with engine.begin() as writer, engine.connect() as reader:
        writer.execute(text("INSERT INTO one_first VALUES (1)"))
        assert reader.execute(text("SELECT count(*) FROM one_first")).scalar() == 0
    with engine.connect() as reader:
        assert reader.execute(text("SELECT count(*) FROM one_first")).scalar() == 1


class Cursor:
    """A cursor of a new database that other threads put into WAL mode just now."""

    def __init__(self, refusals):
        self.refusals = refusals
        self.switched = False

    def execute(self, statement):
        if statement == "PRAGMA journal_mode=WAL":
            if self.refusals:
                raise sqlite3.OperationalError(self.refusals.pop())
            self.switched = True

    def close(self):
        """Nothing is open."""


def prepare(cursor: Any) -> None:
    connection: Any = SimpleNamespace(cursor=lambda: cursor)
    entry: Any = None
    database._prepare_sqlite(connection, entry)


def test_a_refused_switch_to_wal_is_tried_again():
    """SQLite gives up at once there, whatever its busy timeout."""
    cursor = Cursor(["database is locked"] * 3)
    prepare(cursor)
    assert cursor.switched


def test_another_failure_of_the_switch_is_one():
    cursor = Cursor(["disk I/O error"])
    with pytest.raises(sqlite3.OperationalError, match="disk"):
        prepare(cursor)
    assert not cursor.switched


def test_a_database_that_stays_locked_is_given_up(monkeypatch):
    monkeypatch.setattr(database, "BUSY_S", 0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        prepare(Cursor(["database is locked"] * 1000))
