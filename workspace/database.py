"""Opens an SQL database at the schema this version of the code knows.

A package keeps its schema in a folder that Alembic reads: ``migrations/env.py`` and one file a
revision in ``migrations/versions/``. ``env.py`` is the same everywhere::

    from alembic import context

    if hasattr(context, "config"):  # Alembic runs it; a mere import does nothing
        context.configure(connection=context.config.attributes["connection"])
        with context.begin_transaction():
            context.run_migrations()
"""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.pool import NullPool

from workspace.errors import InputError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
    from sqlalchemy.pool import ConnectionPoolEntry

BUSY_S = 30
"""How long a writer waits for another one."""

_MIGRATING = threading.Lock()
"""Alembic keeps what it works on in its modules: one thread at a time."""


def sqlite_url(path: Path) -> str:
    """The database URL of a SQLite file."""
    return f"sqlite:///{path.absolute()}"


def open_database(url: str, *, migrations: Path, revisions: tuple[str, ...], what: str) -> Engine:
    """An engine on a database whose schema is the last of ``revisions``.

    A new or older database is migrated with Alembic, which is imported only then (0.3 s). All of a
    migration happens or none of it, and any number of processes may open a new one at once.
    SQLite is put into WAL mode, waits up to 30 s for another writer, and checks foreign keys.

    Args:
        url: SQLAlchemy's, e.g. from ``sqlite_url``.
        migrations: Alembic's script folder.
        revisions: Every revision known, oldest first; the last is the schema of this code.
        what: What the database holds, for errors ("the study /runs/a").

    Raises:
        InputError: If it is of a newer version, is no database, or its URL cannot be used.
    """
    try:
        # NullPool: threads and processes open their own; SQLite's files are cheap to open.
        engine = create_engine(url, poolclass=NullPool if url.startswith("sqlite") else None)
    except (ArgumentError, ImportError) as error:
        msg = f"{what} cannot be opened: {url!r} is no usable database URL ({error})"
        raise InputError(msg) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    try:
        if not _is_current(engine, revisions, what):
            _migrate(engine, migrations, revisions, what)
    except DatabaseError as error:
        msg = f"{what} cannot be opened: {error.orig}"
        raise InputError(msg) from error
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={1000 * BUSY_S}")
    _write_ahead(cursor)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _write_ahead(cursor: DBAPICursor) -> None:
    """Put a database into WAL mode; SQLite itself does not wait for others that do so too."""
    deadline_s = time.monotonic() + BUSY_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline_s:
                raise
            time.sleep(0.01)
        else:
            return


def _is_current(engine: Engine, revisions: tuple[str, ...], what: str) -> bool:
    """Whether nothing is left to migrate.

    Raises:
        InputError: If the schema is newer than ``revisions``.
    """
    with engine.connect() as connection:
        return _checked_revision(connection, revisions, what) == revisions[-1]


def _checked_revision(connection: Connection, revisions: tuple[str, ...], what: str) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found is not None and found not in revisions:
        msg = (
            f"{what} was written by a newer version (schema {found}); "
            f"this one knows schemas up to {revisions[-1]}: update pocketnas to read it"
        )
        raise InputError(msg)
    return None if found is None else str(found)


def _migrate(engine: Engine, migrations: Path, revisions: tuple[str, ...], what: str) -> None:
    """Bring the schema up to date, unless another thread or process does so first."""
    try:
        with _MIGRATING, engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                # Python's driver starts no transaction for CREATE TABLE; and readers may go on.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            if _checked_revision(connection, revisions, what) != revisions[-1]:
                _upgrade(connection, migrations)
    except DatabaseError:
        # Where the dialect takes no lock at the start, a slower migration ends in a conflict.
        if not _is_current(engine, revisions, what):
            raise


def _upgrade(connection: Connection, migrations: Path) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
