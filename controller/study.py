"""What a search has done so far, in an SQL database; written before, while and after it is done.

Each fact is one row, written once and never changed: a proposal before any work on it starts, its
latency and its training as each is found, its outcome when the algorithm is told. A search that
dies at any point loses no row and doubles none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from controller.algorithm import Evaluated, Failed, Outcome, Proposal, Skipped
from controller.candidate import (
    Candidate,
    FoundLatency,
    latency_from_row,
    latency_row,
    training_from_row,
    training_row,
)
from controller.schema import FINAL_LATENCY, LATENCY, OUTCOME, PROPOSAL, REVISIONS, STUDY, TRAINING
from search_space.architecture import Architecture
from search_space.decisions import point_from_json
from training.executor import TrainingResult
from workspace.database import open_database, sqlite_url
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:
    from sqlalchemy import Connection, FromClause

_PARTS = {"": PROPOSAL, "l_": LATENCY, "f_": FINAL_LATENCY, "t_": TRAINING, "o_": OUTCOME}
"""Prefix of each table's columns in the rows that are read."""


class StudyError(OperationError):
    """The database of a study refused: a full disk, a lost connection."""


class Study:
    """One search, in a database that may hold several.

    Args:
        url: SQLAlchemy's, of SQLite or PostgreSQL.
        name: Which study.
        config: Text from which the search can be put together again, to make a new study; None
            to open one that is there.

    Raises:
        InputError: If the database is of a newer version or cannot be opened, or the study is
            there although it should be made, or is not although it should be opened.
    """

    def __init__(self, url: str, name: str, *, config: str | None = None) -> None:
        self._what = f"the study {name!r}"
        self._engine = open_database(
            url,
            migrations=Path(__file__).parent / "migrations",
            revisions=REVISIONS,
            what=f"{self._what} at {url!r}",
        )
        if config is not None:
            self._create(name, config)
        with self._connected() as connection:
            row = connection.execute(select(STUDY).where(STUDY.c.name == name)).one_or_none()
        if row is None:
            msg = f"{self._what} is not in the database {url!r}"
            raise InputError(msg)
        self._id: int = row.id
        self.config: str = row.config
        self.created: str = row.created

    @classmethod
    def in_folder(cls, folder: Path, *, config: str | None = None) -> Study:
        """The study in ``study.db`` of a run's folder.

        Raises:
            InputError: See the class; also if it should be opened and there is no such file.
        """
        path = folder / "study.db"
        if config is None and not path.is_file():
            msg = f"{str(folder)!r} is no run: it has no study.db"
            raise InputError(msg)
        return cls(sqlite_url(path), "search", config=config)

    def _create(self, name: str, config: str) -> None:
        row = {
            "name": name,
            "created": datetime.now(UTC).isoformat(),
            "version": version("pocketnas"),
            "config": config,
        }
        try:
            with self._connected() as connection:
                connection.execute(STUDY.insert(), row)
        except IntegrityError as error:
            msg = f"{self._what} exists: resume it, or choose another name"
            raise InputError(msg) from error

    def propose(
        self, proposals: Sequence[tuple[Proposal, Architecture | None]], *, told: int
    ) -> None:
        """Keep proposals, before any work on them starts.

        Args:
            proposals: Each with its architecture; None where the point has none.
            told: How many outcomes had been told when they were asked for.
        """
        rows = [
            {
                "study_id": self._id,
                "index": proposal.index,
                "asked_after": told,
                "point": json.dumps(proposal.point),
                "parents": json.dumps(proposal.parents),
                "note": json.dumps(dict(proposal.note), sort_keys=True),
                "key_sha256": "" if architecture is None else key_digest(architecture),
                "architecture": "" if architecture is None else json.dumps(architecture.to_json()),
            }
            for proposal, architecture in proposals
        ]
        with self._connected() as connection:
            connection.execute(PROPOSAL.insert(), rows)

    def found_latency(self, index: int, found: FoundLatency) -> None:
        """Keep what a candidate takes."""
        self._add(LATENCY, {**latency_row(found), "index": index})

    def found_final_latency(self, index: int, found: FoundLatency) -> None:
        """Keep what a candidate of the front was found to take at the end."""
        self._add(FINAL_LATENCY, {**latency_row(found), "index": index})

    def found_training(self, index: int, result: TrainingResult) -> None:
        """Keep what training a candidate gave."""
        self._add(TRAINING, {**training_row(result), "index": index})

    def tell(self, outcome: Outcome, *, told: int, same_as: int | None = None) -> None:
        """Keep an outcome, just before the algorithm is told.

        Args:
            outcome: What became of the proposal.
            told: How many outcomes were told before it.
            same_as: See ``Candidate``.
        """
        kind, reward, text = _outcome_columns(outcome)
        row = {"kind": kind, "reward": reward, "text": text, "told": told, "same_as": same_as}
        self._add(OUTCOME, {**row, "index": outcome.proposal.index})

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
        for candidate in self.candidates(first=index, last=index):
            return candidate
        asked, _ = self.counts()
        msg = f"{self._what} has no trial {index}; it has {asked}, numbered from 0"
        raise InputError(msg)

    def candidates(self, *, first: int = 0, last: int | None = None) -> Iterator[Candidate]:
        """All that is known of each proposal, in the order they were asked."""
        columns = [
            column.label(prefix + column.name)
            for prefix, table in _PARTS.items()
            for column in table.columns
        ]
        joined: FromClause = PROPOSAL
        for table in (LATENCY, FINAL_LATENCY, TRAINING, OUTCOME):
            same = (table.c.study_id == PROPOSAL.c.study_id) & (table.c.index == PROPOSAL.c.index)
            joined = joined.outerjoin(table, same)
        query = (
            select(*columns)
            .select_from(joined)
            .where(PROPOSAL.c.study_id == self._id, PROPOSAL.c.index >= first)
            .order_by(PROPOSAL.c.index)
        )
        if last is not None:
            query = query.where(PROPOSAL.c.index <= last)
        with self._connected() as connection:
            for row in connection.execution_options(yield_per=100).execute(query).mappings():
                yield _candidate({str(name): value for name, value in row.items()})

    def told_order(self) -> tuple[int, ...]:
        """Indices of the proposals whose outcomes were told, in that order."""
        query = select(OUTCOME.c.index).where(OUTCOME.c.study_id == self._id)
        with self._connected() as connection:
            return tuple(connection.execute(query.order_by(OUTCOME.c.told)).scalars())

    def first_with_key(self, architecture: Architecture) -> int | None:
        """Index of the first proposal for the same network."""
        query = select(func.min(PROPOSAL.c.index)).where(
            PROPOSAL.c.study_id == self._id,
            PROPOSAL.c.key_sha256 == key_digest(architecture),
        )
        with self._connected() as connection:
            return connection.execute(query).scalar()

    def _add(self, table: Table, row: Mapping[str, object]) -> None:
        """Insert a row of a proposal, unless it is there: a fact does not change."""
        where = (table.c.study_id == self._id) & (table.c.index == row["index"])
        with self._connected() as connection:
            if connection.execute(select(table.c.index).where(where)).first() is None:
                connection.execute(table.insert(), {"study_id": self._id, **row})

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A transaction.

        Raises:
            StudyError: If the database refuses.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except DBAPIError as error:
            msg = f"the database of {self._what} refuses: {error.orig}"
            raise StudyError(msg) from error


def key_digest(architecture: Architecture) -> str:
    """What finds a network again: the SHA-256 of its key."""
    return hashlib.sha256(architecture.key.encode()).hexdigest()


def _outcome_columns(outcome: Outcome) -> tuple[str, float | None, str]:
    match outcome:
        case Evaluated():
            return "evaluated", outcome.reward, ""
        case Skipped():
            return "skipped", outcome.bound, ""
        case Failed():
            return "failed", None, f"{outcome.kind}: {outcome.text}"


def _candidate(row: Mapping[str, Any]) -> Candidate:
    proposal = Proposal(
        index=row["index"],
        point=point_from_json(json.loads(row["point"])),
        parents=tuple(json.loads(row["parents"])),
        note=json.loads(row["note"]),
    )
    text: str = row["architecture"]
    return Candidate(
        proposal=proposal,
        document=json.loads(text) if text else None,
        latency=latency_from_row(row, "l_"),
        final=latency_from_row(row, "f_"),
        training=training_from_row(row, "t_"),
        text=row["o_text"] or "",
        asked_after=row["asked_after"],
        told=row["o_told"],
        kind=row["o_kind"],
        reward=row["o_reward"],
        same_as=row["o_same_as"],
    )
