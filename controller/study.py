"""What a search has done so far, in an SQL database; written before, while and after it is done.

Each fact is one row, written once and never changed: a proposal before any work on it starts, its
latency and its training as each is found, its outcome when the algorithm is told. A search that
dies at any point loses no row and doubles none.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Table, and_, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from controller import rows, versions
from controller.algorithm import Outcome, Proposal
from controller.candidate import Candidate
from controller.found_latency import FoundLatency
from controller.schema import FINAL_LATENCY, LATENCY, OUTCOME, PROPOSAL, REVISIONS, STUDY, TRAINING
from latency.source import Origin
from search_space.architecture import Architecture
from training.executor import TrainingResult
from workspace.database import open_database, sqlite_url
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:
    from sqlalchemy import Connection, FromClause, RowMapping, Select

_PARTS = {"": PROPOSAL, "l_": LATENCY, "f_": FINAL_LATENCY, "t_": TRAINING, "o_": OUTCOME}
"""Prefix of each table's columns in the rows that are read."""

_IN_FOLDER = "search"
"""Name of the one study in a run's own database."""


class StudyError(OperationError):
    """The database of a study refused: a full disk, a lost connection, a second writer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A proposal and when it was asked for.

    Attributes:
        proposal: As the algorithm made it.
        after: How many outcomes had been told.
    """

    proposal: Proposal
    after: int


class Study:
    """One search, in a database that may hold several; any thread may write to it.

    Args:
        url: SQLAlchemy's, of SQLite or PostgreSQL.
        name: Which study.
        config: Text from which the search can be put together again, to make a new study; None
            to open one that is there.
        exist_ok: With ``config``, whether one that is there already is opened.

    Raises:
        InputError: If the database is of a newer version or cannot be opened, or the study is
            there although it should be made, or is not although it should be opened.
    """

    def __init__(
        self, url: str, name: str, *, config: str | None = None, exist_ok: bool = False
    ) -> None:
        self._what = f"the study {name!r}"
        self._engine = open_database(
            url,
            migrations=Path(__file__).parent / "migrations",
            revisions=REVISIONS,
            what=f"{self._what} at {url!r}",
        )
        self._one_caller = threading.Lock()
        self._kept = self._engine.connect() if self._engine.dialect.name == "sqlite" else None
        if config is not None:
            self._create(name, config, exist_ok=exist_ok)
        with self._connected() as connection:
            row = connection.execute(select(STUDY).where(STUDY.c.name == name)).one_or_none()
        if row is None:
            msg = f"{self._what} is not in the database {url!r}"
            raise InputError(msg)
        self._id: int = row.id
        self.config: str = row.config
        self.created: str = row.created
        self.versions: Mapping[str, str] = json.loads(row.versions)

    @classmethod
    def in_folder(
        cls, folder: Path, *, config: str | None = None, exist_ok: bool = False
    ) -> Study:
        """The study in ``study.db`` of a run's folder.

        Raises:
            InputError: See the class; also if it should be opened and there is no such file.
        """
        path = folder / "study.db"
        if config is None and not path.is_file():
            msg = f"{str(folder)!r} is no run: it has no study.db"
            raise InputError(msg)
        return cls(sqlite_url(path), _IN_FOLDER, config=config, exist_ok=exist_ok)

    def close(self) -> None:
        """Give back the connections; a later call opens new ones."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        self._engine.dispose()

    def propose(
        self, proposals: Sequence[tuple[Proposal, Architecture | None]], *, told: int
    ) -> None:
        """Keep the proposals of one ask, all or none, before any work on them starts.

        Args:
            proposals: Each with its architecture; None where the point has none.
            told: How many outcomes had been told when they were asked for.
        """
        common = {"study_id": self._id, "asked_after": told}
        made = [{**rows.proposal_row(p, architecture), **common} for p, architecture in proposals]
        with self._writing() as connection:
            connection.execute(PROPOSAL.insert(), made)

    def found_latency(self, index: int, found: FoundLatency) -> None:
        """Keep what a candidate takes."""
        self._add(LATENCY, {**rows.latency_row(found), "index": index})

    def measured_latency(self, index: int, found: FoundLatency) -> None:
        """Keep what a candidate was measured to take in place of what was predicted."""
        row = {**rows.latency_row(found), "index": index}
        where = (LATENCY.c.study_id == self._id) & (LATENCY.c.index == index)
        predicted = LATENCY.c.origin.in_((Origin.TABLE.value, Origin.PREDICTED.value))
        with self._writing() as connection:
            connection.execute(LATENCY.update().where(where & predicted), row)

    def found_final_latency(self, index: int, found: FoundLatency) -> None:
        """Keep what a candidate of the front was found to take at the end."""
        self._add(FINAL_LATENCY, {**rows.latency_row(found), "index": index})

    def found_training(self, index: int, result: TrainingResult) -> None:
        """Keep what training a candidate gave."""
        self._add(TRAINING, {**rows.training_row(result), "index": index})

    def tell(self, outcome: Outcome, *, told: int, same_as: int | None = None) -> None:
        """Keep an outcome, just before the algorithm is told.

        Args:
            outcome: What became of the proposal.
            told: How many outcomes were told before it.
            same_as: See ``Candidate``.
        """
        self._add(OUTCOME, {**rows.outcome_row(outcome), "told": told, "same_as": same_as})

    def counts(self) -> tuple[int, int]:
        """How many proposals are kept, and how many outcomes."""
        with self._connected() as connection:
            asked, told = (
                connection.execute(
                    select(func.count()).select_from(table).where(table.c.study_id == self._id)
                ).scalar_one()
                for table in (PROPOSAL, OUTCOME)
            )
        return asked, told

    def candidate(self, index: int) -> Candidate:
        """All that is known of one proposal.

        Raises:
            InputError: If there is none of that index.
        """
        query = self._joined().where(PROPOSAL.c.index == index)
        with self._connected() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is not None:
            return rows.candidate_from(_named(row))
        asked, _ = self.counts()
        msg = f"{self._what} has no trial {index}; it has {asked}, numbered from 0"
        raise InputError(msg)

    def candidates(self) -> Iterator[Candidate]:
        """All that is known of each proposal, in the order they were asked."""
        return self._read(self._joined().order_by(PROPOSAL.c.index))

    def told(self) -> Iterator[Candidate]:
        """Those whose outcomes were told, in that order."""
        query = self._joined().where(OUTCOME.c.told.is_not(None))
        return self._read(query.order_by(OUTCOME.c.told))

    def untold(self) -> Iterator[Candidate]:
        """Those whose outcomes were not, in the order they were asked."""
        query = self._joined().where(OUTCOME.c.told.is_(None))
        return self._read(query.order_by(PROPOSAL.c.index))

    def asked(self) -> Iterator[Asked]:
        """Every proposal, in the order they were asked."""
        query = select(PROPOSAL).where(PROPOSAL.c.study_id == self._id)
        for row in self._stream(query.order_by(PROPOSAL.c.index)):
            yield Asked(proposal=rows.proposal_from(row), after=row["asked_after"])

    def last_with_key(self, architecture: Architecture, *, before: int) -> int | None:
        """Index of the last proposal for the same network among those below ``before``."""
        query = select(func.max(PROPOSAL.c.index)).where(
            PROPOSAL.c.study_id == self._id,
            PROPOSAL.c.key_sha256 == rows.key_digest(architecture.key),
            PROPOSAL.c.index < before,
        )
        with self._connected() as connection:
            return connection.execute(query).scalar()

    def _create(self, name: str, config: str, *, exist_ok: bool) -> None:
        row = {
            "name": name,
            "created": datetime.now(UTC).isoformat(),
            "versions": json.dumps(versions.current()),
            "config": config,
        }
        try:
            with self._connected() as connection:
                connection.execute(STUDY.insert(), row)
        except IntegrityError as error:
            if exist_ok:
                return
            msg = f"{self._what} exists: resume it, or choose another name"
            raise InputError(msg) from error

    def _joined(self) -> Select[tuple[object, ...]]:
        """Proposals with all their rows, where there are any."""
        columns = [
            column.label(prefix + column.name)
            for prefix, table in _PARTS.items()
            for column in table.columns
        ]
        joined: FromClause = PROPOSAL
        for table in (LATENCY, FINAL_LATENCY, TRAINING, OUTCOME):
            same = and_(table.c.study_id == PROPOSAL.c.study_id, table.c.index == PROPOSAL.c.index)
            joined = joined.outerjoin(table, same)
        return select(*columns).select_from(joined).where(PROPOSAL.c.study_id == self._id)

    def _read(self, query: Select[tuple[object, ...]]) -> Iterator[Candidate]:
        return (rows.candidate_from(row) for row in self._stream(query))

    def _stream(self, query: Select[tuple[object, ...]]) -> Iterator[rows.Row]:
        """Rows as they are needed, so that memory does not grow with the search."""
        with self._explained(), self._engine.begin() as connection:
            found = connection.execution_options(yield_per=100).execute(query)
            for row in found.mappings():
                yield _named(row)

    def _add(self, table: Table, row: Mapping[str, object]) -> None:
        """Insert a row of a proposal, unless it is there: a fact does not change."""
        where = (table.c.study_id == self._id) & (table.c.index == row["index"])
        with self._writing() as connection:
            if connection.execute(select(table.c.index).where(where)).first() is None:
                connection.execute(table.insert(), {"study_id": self._id, **row})

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction that adds rows of this search.

        Raises:
            StudyError: If the database refuses, or another process adds the same rows.
        """
        try:
            with self._connected() as connection:
                yield connection
        except IntegrityError as error:
            msg = f"another process is at work on {self._what}: {error.orig}"
            raise StudyError(msg) from error

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A short transaction.

        SQLite has one connection for all of them: opening one costs a millisecond, and when the
        last is closed the file is rewritten.

        Raises:
            StudyError: If the database refuses.
        """
        with self._explained():
            if self._kept is None:
                with self._engine.begin() as connection:
                    yield connection
            else:
                with self._one_caller, self._kept.begin():
                    yield self._kept

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            msg = f"the database of {self._what} refuses: {error.orig}"
            raise StudyError(msg) from error


def _named(row: RowMapping) -> rows.Row:
    return {str(name): value for name, value in row.items()}
