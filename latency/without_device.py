"""What sources have in common that ask no device: sums over a table, predictions."""

from __future__ import annotations

from collections.abc import Sequence

from latency.signatures import Parts, parts_of
from latency.source import FileSubject, LatencyFailure, LatencyRequest, NetworkSubject
from workspace.errors import InputError

NORMAL_95 = 1.96
"""Half the width of a 95 % interval, in standard deviations."""


class WithoutDevice:
    """The part of a ``LatencySource`` that is the same for all of them."""

    @property
    def lanes(self) -> int:
        """One: an answer takes microseconds, or a millisecond."""
        return 1

    @property
    def on_this_computer(self) -> bool:
        """No: it takes next to nothing of this computer."""
        return False

    def close(self) -> None:
        """Nothing is held."""


def require_networks(name: str, requests: Sequence[LatencyRequest]) -> None:
    """Do nothing if all requests are about networks, whose parts are known.

    Raises:
        InputError: If one is about a file; ``name`` is the source that was asked.
    """
    for request in requests:
        if isinstance(request.subject, FileSubject):
            msg = (
                f"{name} knows parts of networks, not files: {request.subject.artifact.path} "
                "can be timed on host or adb:SERIAL"
            )
            raise InputError(msg)


def parts_asked(request: LatencyRequest) -> Parts | LatencyFailure:
    """The parts of the network that is asked about, or why it has none."""
    subject = request.subject
    assert isinstance(subject, NetworkSubject)
    try:
        return parts_of(subject.architecture, subject.head)
    except InputError as error:
        return LatencyFailure(request_id=request.id, text=str(error), retryable=False)
