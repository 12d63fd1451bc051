import pytest

from controller.algorithm import Failed, FailureKind, Proposal
from controller.ledger import Ledger


def failed(index: int) -> Failed:
    proposal = Proposal(index=index, point=(0,))
    return Failed(proposal=proposal, kind=FailureKind.TIMEOUT, text="took too long")


def test_numbers_go_on_from_ask_to_ask():
    ledger = Ledger()
    assert [list(ledger.issue(count)) for count in (2, 1, 3)] == [[0, 1], [2], [3, 4, 5]]


def test_nothing_is_settled_by_a_tell_that_is_refused():
    ledger = Ledger()
    ledger.issue(2)
    for refused in ([0, 2], [0, -1], [0, 1, 0]):
        with pytest.raises(ValueError, match=r"proposal (2|-1|0)"):
            ledger.settle([failed(index) for index in refused])
    ledger.settle([failed(0), failed(1)])


def test_takes_a_byte_a_proposal():
    ledger = Ledger()
    ledger.issue(10_000)
    assert ledger.__dict__["_told"].__sizeof__() < 12_000
