import pytest

from latency.presets import TABLE
from latency.signatures import parts_of
from latency.table_plan import plan, random_networks
from search_space.architecture import Classifier, Detector
from search_space.chain import ChainArchitecture
from search_space.decisions import Choice, DecisionSpace
from search_space.mnasnet import MnasNetSpace
from search_space.proxyless import ProxylessSpace
from search_space.space import create
from workspace.errors import InputError

HEAD = Classifier(classes=1000)
WHOLE = plan(MnasNetSpace(), HEAD, TABLE)


class Opaque:
    """A space of the user's own that does not tell which decisions make which layers."""

    name = "mine.spaces:Opaque"
    _inner = ProxylessSpace(size=64)
    points = _inner.points
    count = _inner.count

    def decode(self, point):
        return self._inner.decode(point)

    def encode(self, architecture):
        return self._inner.encode(architecture)


def test_the_whole_mnasnet_space_at_224_takes_one_phone_at_most_eight_hours():
    assert len(WHOLE.pieces) == 2600
    assert WHOLE.device_hours() <= 8


def test_all_layers_are_in_it_once_what_matters_most_first():
    keys = [piece.signature.key for piece in WHOLE.pieces]
    assert len(set(keys)) == len(keys)
    weights = [piece.weight for piece in WHOLE.pieces]
    assert weights == sorted(weights, reverse=True)


def test_five_per_cent_as_many_networks_are_held_out_as_layers_are_timed():
    assert len(WHOLE.held_out) == 130
    fitted = {each.architecture.key for each in WHOLE.fitted}
    held_out = {each.architecture.key for each in WHOLE.held_out}
    assert not fitted & held_out
    assert len(fitted) == len(WHOLE.fitted) == 64


@pytest.mark.parametrize("hours", [0.5, 2.0])
def test_a_budget_is_kept(hours):
    some = WHOLE.within(hours * 3600)
    assert 0.9 * hours < some.device_hours() <= 1.02 * hours
    assert some.pieces == WHOLE.pieces[: len(some.pieces)]
    assert len(some.held_out) >= 20
    assert len(some.fitted) >= 16


def test_without_a_budget_or_with_a_large_one_everything_is_measured():
    assert WHOLE.within(None) is WHOLE
    assert WHOLE.within(100 * 3600) is WHOLE


def test_a_budget_that_is_too_short_is_refused_with_what_would_do():
    with pytest.raises(InputError, match=r"a table needs at least \d+ minutes, .*got 2"):
        WHOLE.within(120)


def test_a_space_that_tells_nothing_shows_its_layers_in_samples():
    found = plan(Opaque(), HEAD, TABLE)
    told = plan(ProxylessSpace(size=64), HEAD, TABLE)
    assert {p.signature.key for p in found.pieces} == {p.signature.key for p in told.pieces}


def test_networks_are_drawn_alike_for_a_seed_and_never_those_left_out():
    space = ProxylessSpace()
    first = random_networks(space, HEAD, 20, seed=1)
    assert first == random_networks(space, HEAD, 20, seed=1)
    keys = {each.architecture.key for each in first}
    others = random_networks(space, HEAD, 20, seed=1, without=frozenset(keys))
    assert not keys & {each.architecture.key for each in others}


class Single:
    """A space of one network."""

    name = "single"
    points = DecisionSpace(choices=(Choice(name="only", options=("one",)),))
    count = 1

    def decode(self, point):  # noqa: ARG002
        return ProxylessSpace().decode((0,) * 22)

    def encode(self, architecture):  # noqa: ARG002
        return (0,)


def test_a_space_of_too_few_networks_is_refused():
    with pytest.raises(InputError, match="too few networks: 20 different ones are needed"):
        random_networks(Single(), HEAD, 20, seed=0)


class Foreign(Single):
    """A space whose networks are no chains."""

    def decode(self, point):  # noqa: ARG002
        class Graph:
            family = "graph"
            key = "g"

        return Graph()


def test_networks_that_are_no_chains_are_refused_by_their_family():
    with pytest.raises(InputError, match="of the family graph"):
        plan(Foreign(), HEAD, TABLE)


@pytest.mark.parametrize("name", ["spinenet", "spinenet_v2", "spinenet_mbconv"])
@pytest.mark.parametrize("head", [HEAD, Detector(classes=10)])
def test_all_parts_of_scale_permuted_networks_are_known_and_what_comes_often_is_first(name, head):
    space = create(name, {"filter_scale": "0.25", "size": "128"})
    found = plan(space, head, TABLE)
    keys = [piece.signature.key for piece in found.pieces]
    assert len(set(keys)) == len(keys)
    for subject in (*found.fitted, *found.held_out):
        assert {part.key for part in parts_of(subject.architecture, head)} <= set(keys)
    weights = [piece.weight for piece in found.pieces]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] > 0
    assert found.head == head


def test_a_chain_that_ends_in_a_detector_has_no_layers_to_time():
    with pytest.raises(InputError, match=r"end in a classifier, got Detector\(classes=10\)"):
        plan(Opaque(), Detector(classes=10), TABLE)


def test_the_networks_have_no_layer_beside_those_of_the_plan():
    keys = {piece.signature.key for piece in WHOLE.pieces}
    for subject in (*WHOLE.fitted, *WHOLE.held_out):
        assert isinstance(subject.architecture, ChainArchitecture)
        assert {part.key for part in parts_of(subject.architecture, HEAD)} <= keys
