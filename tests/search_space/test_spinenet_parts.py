import random
from dataclasses import replace

import pytest

pytest.importorskip("torch")

import torch

from exporters.cost import count
from exporters.exporter import NamedInput
from exporters.trace import to_graph
from search_space import spinenet_networks
from search_space.architecture import Classifier, Detector, VideoClassifier
from search_space.permuted_blocks import BlockKind
from search_space.single_layers import LeadIn
from search_space.single_parts import SinglePart
from search_space.space import create
from search_space.spinenet_parts import PartKind, parts_of, possible_parts
from search_space.spinenet_space import SpineNetSpace
from workspace.errors import InputError

NARROW = {
    "filter_scale": "0.25", "endpoint_filters": "16", "head_filters": "24", "head_convs": "2",
    "stem_filters": "8",
}  # fmt: skip
HEADS = (Detector(classes=3), Classifier(classes=5))


def member(name, size, seed=0, **options):
    space = create(name, {**NARROW, **options})
    return space.decode(space.points.sample(random.Random(seed))).at(size)


def graph_of(module, size, channels):
    return to_graph(module.eval(), (NamedInput("x", torch.zeros(1, channels, size, size)),))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    ("name", "size", "options"),
    [("spinenet", 128, {}), ("spinenet_v2", 200, {"repeats": "2"}), ("spinenet_mbconv", 150, {})],
)
def test_the_parts_of_a_network_compute_what_all_of_it_does(name, size, options, head):
    network = member(name, size, **options)
    graph = graph_of(network.build(head), size, 3)
    found = parts_of(network, head)
    assert sum(part.macs for part in found) == sum(map(graph.macs, graph.nodes))
    assert found[0].kind is PartKind.STEM
    if isinstance(head, Classifier):  # a detector's levels share weights, its parts do not
        params = sum(each.numel() for each in network.build(head).parameters())
        assert sum(part.params for part in found) == params


@pytest.mark.parametrize("name", ["spinenet-49", "spinenet-mobile-49"])
def test_published_networks_have_their_multiply_adds(name):
    network, head = spinenet_networks.create(name), Detector(classes=91)
    with torch.device("meta"):
        module = network.build(head)
        inputs = (NamedInput("image", torch.zeros(1, 3, network.size, network.size)),)
    assert sum(part.macs for part in parts_of(network, head)) == count(module, inputs).macs


def written(graph):
    """Numbers that the operators of a graph give, new shapes and constants aside."""
    from exporters.graph import Constant, Reshape

    return sum(
        torch.Size(graph.shapes[node.output]).numel()
        for node in graph.nodes
        if not isinstance(node.operator, Constant | Reshape)
    )


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("name", "size"), [("spinenet", 128), ("spinenet_mbconv", 128)])
def test_each_part_costs_what_a_network_of_it_alone_adds_to_what_leads_to_it(name, size, head):
    network = member(name, size)
    for part in {part.key: part for part in parts_of(network, head)}.values():
        shape = (part.in_size, part.in_channels)
        before = graph_of(LeadIn(part.in_channels, network.activation), *shape)
        whole = graph_of(SinglePart(part), *shape)
        macs = [sum(map(graph.macs, graph.nodes)) for graph in (before, whole)]
        assert part.macs == macs[1] - macs[0], part.key
        given = sum(torch.Size(whole.shapes[tensor]).numel() for _, tensor in whole.outputs)
        assert part.out_elements == given, part.key
        hidden = written(whole) - written(before) - given
        assert part.hidden_elements == pytest.approx(hidden, rel=0.15, abs=300), part.key
        params = sum(each.numel() for each in SinglePart(part).part.parameters())
        assert part.params == params, part.key


def test_equal_keys_are_of_equal_parts_whatever_the_network_and_others_differ():
    first, second = member("spinenet", 128, seed=1), member("spinenet", 128, seed=2)
    ours, theirs = (
        {part.key: part for part in parts_of(each, HEADS[0])} for each in (first, second)
    )
    shared = ours.keys() & theirs.keys()
    assert len(shared) > 10
    assert all(ours[key] == theirs[key] for key in shared)
    wider = {part.key for part in parts_of(replace(first, alpha=1.0), HEADS[0])}
    changed = ours.keys() - wider
    assert changed == {key for key, part in ours.items() if part.kind is PartKind.RESAMPLING}


@pytest.mark.parametrize("name", ["spinenet", "spinenet_v2", "spinenet_mbconv"])
def test_every_part_of_random_members_is_among_those_that_are_possible(name):
    space = create(name, NARROW)
    assert isinstance(space, SpineNetSpace)
    levels = {base + offset for base in space.bases for offset in space.offsets}
    places = [(level, kind) for level in sorted(levels) for kind in space.kinds]
    outputs = [(level, kind) for level in range(3, 8) for kind in space.kinds]
    possible = {part.key for part in possible_parts(space.frame, HEADS[0], places, outputs)}
    rng = random.Random(0)
    for _ in range(50):
        network = space.decode(space.points.sample(rng))
        assert {part.key for part in parts_of(network, HEADS[0])} <= possible


def test_labels_tell_ways_up_and_down_and_kinds_of_blocks_apart():
    labels = {part.label for part in parts_of(member("spinenet", 128), HEADS[0])}
    assert labels >= {
        "stem-swish", "resample-down-swish", "resample-up-swish", "endpoint-swish", "nets-swish",
    }  # fmt: skip
    mobile = {part.label for part in parts_of(member("spinenet_mbconv", 128), HEADS[1])}
    assert mobile >= {f"{BlockKind.MBCONV}-se-swish", "upward-swish", "average-swish"}


def test_a_head_of_clips_has_no_parts():
    with pytest.raises(InputError, match="a classifier or a detector"):
        parts_of(member("spinenet", 128), VideoClassifier(classes=2))
