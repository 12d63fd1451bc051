"""Gates of scale-permuted networks, and how they guide mutations."""

import json
import random
from collections import Counter
from dataclasses import replace
from statistics import mean
from typing import Any

import pytest

from search_space.architecture import Classifier, Detector, from_json
from search_space.guidance import Threshold
from search_space.permuted_blocks import STEM
from search_space.space import create
from search_space.spinenet_guidance import GatedDecisions
from search_space.spinenet_networks import create as published
from search_space.spinenet_space import SpineNetSpace
from search_space.testing import (
    DecisionSpaceContract,
    GuidedPointSpaceContract,
    SearchSpaceContract,
)
from workspace.errors import InputError

SMALL = {
    "size": "64",
    "channels": "1",
    "strides": "small",
    "filter_scale": "0.125",
    "endpoint_filters": "8",
    "head_convs": "1",
    "head_filters": "8",
    "stem_filters": "8",
    "gates": "yes",
}


def gated(options) -> SpineNetSpace:
    space = create("spinenet", options)
    assert isinstance(space, SpineNetSpace)
    return space


def points_of(space) -> GatedDecisions:
    assert isinstance(space.points, GatedDecisions)
    return space.points


GATED = gated(SMALL)
POINTS = points_of(GATED)
HALF = Threshold(value=0.5)


class TestTheSpace(SearchSpaceContract):
    @pytest.fixture
    def space(self):
        return GATED

    @pytest.fixture
    def head(self):
        return Detector(classes=3)


class TestItsPoints(GuidedPointSpaceContract, DecisionSpaceContract):
    @pytest.fixture
    def points(self):
        return POINTS


class TestWithoutAdjustments(GuidedPointSpaceContract):
    @pytest.fixture
    def points(self):
        return create("spinenet", {**SMALL, "adjustments": "no"}).points


class TestMobilePoints(GuidedPointSpaceContract):
    @pytest.fixture
    def points(self):
        return create("spinenet_mbconv", SMALL).points


def draws(count, seed=0):
    rng = random.Random(seed)
    return [POINTS.sample(rng) for _ in range(count)]


def parents_of(point):
    """Connections as the space numbers features: of each block the two parents."""
    described = POINTS.describe(point)
    found: dict[str, tuple[int, ...]] = {"block1": (0, 1)}
    for name, chosen in described.items():
        if name.endswith(".parents"):
            found[name.removesuffix(".parents")] = tuple(map(int, chosen.split(",")))
    return found


def told(point, weight):
    """Weights by a function of an edge, both ends numbered as in the network."""
    edges = GATED.decode(point).gated_edges
    return {name: [weight(*edge) for edge in own] for name, own in edges.items()}


def test_ungated_spaces_and_networks_are_as_ever():
    plain = create("spinenet", {})
    assert not isinstance(plain.points, GatedDecisions)
    network = published("spinenet-49")
    assert not network.gated
    assert network.gated_edges == {}
    assert "gated" not in network.key
    assert network.to_json()["version"] == 1
    assert "gated" not in network.to_json()


def test_a_gated_network_is_another_one_and_survives_json():
    network = published("spinenet-49")
    other = replace(network, gated=True)
    assert other.key == f"{network.key}_gated"
    document = json.loads(json.dumps(other.to_json()))
    assert document["version"] == 2
    assert from_json(document) == other


def test_each_live_block_has_two_gates():
    for point in draws(20):
        network = GATED.decode(point)
        expected = {f"feature{i + STEM}": 2 for i in range(len(network.live_blocks))}
        assert POINTS.told_weights(point) == expected


def test_exactly_the_parents_whose_weights_pass_stay():
    rng = random.Random(1)
    for point in draws(100):
        coded = POINTS.coded(point)
        weights = {
            edge: rng.random() for own in coded.network.gated_edges.values() for edge in own
        }
        values = told(point, lambda *edge, known=weights: known[edge])
        child = POINTS.reconnect(point, values, HALF, rng)
        names = dict(zip(POINTS.blocks, range(STEM, 99), strict=False))
        before, after = parents_of(coded.decisions), parents_of(child)
        built = {(coded.number[a], coded.number[b]): w for (a, b), w in weights.items()}
        for block, feature in names.items():
            allowed = {
                int(each)
                for choice in POINTS.choices
                if choice.name == f"{block}.parents"
                for option in choice.options
                for each in option.split(",")
            }
            weak = {p for p in before[block] if built.get((p, feature), 1.0) <= 0.5}
            new = set(after[block]) - set(before[block])
            stays = set(before[block]) & set(after[block])
            assert set(before[block]) - weak <= stays
            assert len(new) == min(len(weak), len(allowed - set(before[block])))


def test_levels_and_kinds_stay_when_connections_are_redrawn():
    rng = random.Random(2)
    for point in draws(50):
        child = POINTS.reconnect(point, told(point, lambda *_: 0.0), HALF, rng)
        coded = POINTS.coded(point)
        for choice, was, now in zip(POINTS.choices, coded.decisions, child, strict=True):
            assert choice.name.endswith(".parents") or was == now


def test_connections_stay_when_levels_and_kinds_change():
    rng = random.Random(3)
    changed = Counter[str]()
    for point in draws(200):
        child = POINTS.restructure(point, rng)
        (name,) = (
            choice.name
            for choice, was, now in zip(POINTS.choices, point, child, strict=True)
            if was != now
        )
        changed[name.split(".")[1]] += 1
    assert set(changed) == {"base", "level", "offset", "kind"}


def test_new_parents_are_drawn_among_all_that_the_space_allows():
    point = draws(1)[0]
    values = told(point, lambda *_: 0.0)
    rng = random.Random(4)
    found = {
        parent
        for _ in range(300)
        for parent in parents_of(POINTS.reconnect(point, values, HALF, rng))["output5"]
    }
    before = set(parents_of(POINTS.coded(point).decisions)["output5"])
    assert found == set(range(16)) - before


def test_a_parent_stays_with_a_chance_of_its_weight_where_thresholds_are_drawn():
    # 2000 draws of 14 blocks: within 6 standard deviations
    point = draws(1)[0]
    before = parents_of(POINTS.coded(point).decisions)
    values = told(point, lambda *_: 0.3)
    rng = random.Random(5)
    stayed = [
        len(set(before["output5"]) & set(parents_of(child)["output5"])) / 2
        for child in (POINTS.reconnect(point, values, Threshold(), rng) for _ in range(2000))
    ]
    assert abs(mean(stayed) - 0.3) <= 6 * (0.3 * 0.7 / 4000) ** 0.5


def test_a_space_without_other_levels_says_so():
    points = POINTS
    parents = tuple(choice for choice in points.choices if choice.name.endswith(".parents"))
    alone = replace(points, choices=parents)
    with pytest.raises(InputError, match="no decisions on levels or kinds"):
        alone.restructure((0,) * len(parents), random.Random(0))


@pytest.mark.parametrize("given", ["maybe", "1"])
def test_gates_are_yes_or_no(given):
    with pytest.raises(InputError, match=f"option 'gates'.*yes or no.*{given}"):
        create("spinenet", {**SMALL, "gates": given})


def test_a_networks_gates_are_told_by_the_names_of_its_space():
    pytest.importorskip("torch")
    from training.gates import learned_gates

    for point in draws(3):
        network = GATED.decode(point).build(Classifier(classes=4))
        gates = learned_gates(network)
        assert {name: len(own) for name, own in gates.items()} == dict(POINTS.told_weights(point))
        assert {value for own in gates.values() for value in own} == {0.5}


def test_gates_multiply_what_parents_give_and_are_learned():
    torch = pytest.importorskip("torch")
    from training.gates import learned_gates

    architecture = GATED.decode(draws(1)[0])
    network: Any = architecture.build(Classifier(classes=4))
    image = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    before = network(image)
    before.square().sum().backward()
    last = network.backbone.blocks[-1]
    assert bool((last.theta.grad != 0).all())
    with torch.no_grad():
        last.theta[0] = 3.0
    assert not torch.equal(network(image), before)
    name = f"feature{STEM + len(architecture.live_blocks) - 1}"
    assert learned_gates(network)[name] == pytest.approx((1 / (1 + 2.718281828**-3), 0.5))


def test_gates_are_two_parameters_a_block_and_no_more():
    torch = pytest.importorskip("torch")
    whole = GATED.decode(draws(1)[0])
    counts = []
    with torch.device("meta"):
        for network in (whole, replace(whole, gated=False)):
            module = network.build(Classifier(classes=4))
            counts.append(sum(weight.numel() for weight in module.parameters()))
    assert counts[0] - counts[1] == 2 * len(whole.live_blocks)


def test_a_gated_network_is_exported_as_it_computes(tmp_path):
    torch = pytest.importorskip("torch")
    numpy = pytest.importorskip("numpy")
    pytest.importorskip("ai_edge_litert")
    from exporters.exporter import NamedInput
    from exporters.litert_runtime import LiteRtModel
    from exporters.tflite import TFLiteExporter
    from exporters.verify import channels_last

    architecture = GATED.decode(draws(1)[0])
    network: Any = architecture.build(Classifier(classes=4)).eval()
    with torch.no_grad():
        for place, block in enumerate(network.backbone.blocks):
            block.theta.copy_(torch.tensor([0.3 * place - 2, 1.0 - 0.2 * place]))
    image = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    artifact = TFLiteExporter().export(network, (NamedInput(name="image", value=image),), tmp_path)
    feeds = {"image": channels_last(image.numpy())}
    (ours,) = LiteRtModel(artifact.path).run(feeds).values()
    theirs = network(image).detach().numpy()
    assert numpy.abs(ours - theirs).max() <= 1e-4 * numpy.abs(theirs).max()
