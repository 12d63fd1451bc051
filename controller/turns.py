"""Keeps timing and training apart where they would share this computer's cores."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum


class Work(Enum):
    """What a turn is for."""

    TIMING = "timing"
    TRAINING = "training"


class NoMoreTurnsError(RuntimeError):
    """The search is ending: nothing new is to begin."""


class Turns:
    """Lets any number of one kind of work go on at once, and never both kinds.

    Work joins its own kind though the other waits, so that no training lane stands still beside
    another until that one ends. Otherwise turns are given in the order asked for. Neither kind
    starves: a search has so many candidates in flight, and each is timed before it is trained.

    Args:
        exclusive: Whether the two share cores; if not, nobody ever waits.
    """

    def __init__(self, *, exclusive: bool) -> None:
        self.exclusive = exclusive
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._now: Work | None = None
        self._count = 0
        self._closed = False

    @contextmanager
    def turn(self, work: Work) -> Iterator[None]:
        """Wait for a turn, and hold it while the block runs.

        Raises:
            NoMoreTurnsError: If ``close`` was called before it came.
        """
        self._enter(work)
        try:
            yield
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Give no more turns, not even to those who wait; those who hold one go on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _enter(self, work: Work) -> None:
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._closed or self._may_enter(ticket, work))
                if self._closed:
                    raise NoMoreTurnsError
                self._now = work
                self._count += 1
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()

    def _may_enter(self, ticket: object, work: Work) -> bool:
        if not self.exclusive:
            return True
        return self._now is work if self._count else self._waiting[0] is ticket
