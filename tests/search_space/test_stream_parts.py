import random
from dataclasses import replace

import pytest

pytest.importorskip("torch")

import torch

from exporters.cost import count
from exporters.exporter import NamedInput
from exporters.graph import Constant, Reshape
from exporters.trace import to_graph
from search_space import assemblenet_networks
from search_space.architecture import Classifier, VideoClassifier
from search_space.assemblenet import Attention
from search_space.chain import Activation
from search_space.single_streams import ClipLeadIn, SingleStreamPart
from search_space.space import create
from search_space.stream_part import StreamPartKind
from search_space.stream_parts import parts_of
from workspace.errors import InputError

HEAD = VideoClassifier(classes=5)
SMALL = {
    "size": "33", "frames": "4", "width": "0.125", "repeats": "1,2,3,1", "flow_iterations": "3",
    "nodes": "3", "dilations": "1,2",
}  # fmt: skip
KINDS = [
    ("assemblenet", {}),
    ("assemblenet_mobile", {"stems": "rgb,flow", "pooling": "softmax"}),
    ("assemblenet", {"flow": "given", "stems": "rgb,flow,object", "attention": "peer"}),
    ("assemblenet_mobile", {"attention": "self", "strides": "small"}),
    ("assemblenet", {"pooling": "softmax", "stems": "flow,object", "flow": "given"}),
]


def member(name, seed=0, **options):
    space = create(name, {**SMALL, **options})
    return space.decode(space.points.sample(random.Random(seed)))


def graph_of(module, *shapes):
    inputs = (NamedInput(f"x{place}", torch.zeros(1, *each)) for place, each in enumerate(shapes))
    return to_graph(module.eval(), tuple(inputs))


def macs_of(graph):
    return sum(map(graph.macs, graph.nodes))


def written(graph):
    """Numbers that the operators of a graph give, new shapes and constants aside."""
    return sum(
        torch.Size(graph.shapes[node.output]).numel()
        for node in graph.nodes
        if not isinstance(node.operator, Constant | Reshape)
    )


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("name", "options"), KINDS)
def test_the_parts_of_a_network_compute_and_write_what_all_of_it_does(name, options, seed):
    network = member(name, seed, **options)
    module = network.build(HEAD)
    graph = graph_of(module, *(spec.shape for spec in network.inputs))
    found = parts_of(network, HEAD)
    assert sum(part.macs for part in found) == macs_of(graph)
    gates = ("theta", "shares")
    weights = [each for path, each in module.named_parameters() if not path.endswith(gates)]
    assert sum(part.params for part in found) == sum(each.numel() for each in weights)
    numbers = sum(part.out_elements + part.hidden_elements for part in found)
    assert numbers == pytest.approx(written(graph), rel=0.03)


@pytest.mark.parametrize("name", ["assemblenet-50", "assemblenet-plus-lite"])
def test_published_networks_have_their_multiply_adds(name):
    network, head = assemblenet_networks.create(name), VideoClassifier(classes=339)
    with torch.device("meta"):
        module = network.build(head)
        inputs = tuple(
            NamedInput(spec.name, torch.zeros(1, *spec.shape)) for spec in network.inputs
        )
    total = sum(part.macs for part in parts_of(network, head))
    assert total == count(module, inputs).macs
    if name == "assemblenet-50":
        assert total == 250_453_596_160  # facts of the published code


@pytest.mark.parametrize(("name", "options"), KINDS)
def test_each_part_costs_what_a_network_of_it_alone_adds_to_what_leads_to_it(name, options):
    network = member(name, 1, **options)
    for part in {part.key: part for part in parts_of(network, HEAD)}.values():
        before = graph_of(ClipLeadIn(part.given[0], network.activation), part.given)
        single = SingleStreamPart(part)
        whole = graph_of(single, part.given)
        assert part.macs == macs_of(whole) - macs_of(before), part.key
        given = sum(torch.Size(whole.shapes[tensor]).numel() for _, tensor in whole.outputs)
        assert part.out_elements == given, part.key
        assert part.params == sum(each.numel() for each in single.part.parameters()), part.key
        hidden = written(whole) - written(before) - given
        if part.kind is not StreamPartKind.ATTEND or network.attention is Attention.SELF:
            assert part.hidden_elements == pytest.approx(hidden, rel=0.1, abs=300), part.key
        else:  # the vector of peers is cut out of the clip
            assert part.hidden_elements <= hidden, part.key


def test_a_part_alone_has_the_same_weights_every_time():
    parts = {part.kind: part for part in parts_of(member("assemblenet", 1), HEAD)}
    for kind in (StreamPartKind.BODY, StreamPartKind.SCORES, StreamPartKind.MATCH):
        first, second = (SingleStreamPart(parts[kind]).state_dict() for _ in range(2))
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_equal_keys_are_of_equal_parts_whatever_the_graphs_are():
    ours, theirs = (
        {part.key: part for part in parts_of(member("assemblenet_mobile", seed), HEAD)}
        for seed in (1, 2)
    )
    shared = ours.keys() & theirs.keys()
    assert len(shared) > 5
    assert all(ours[key] == theirs[key] for key in shared)
    assert ours.keys() != theirs.keys()


def test_what_costs_otherwise_has_another_key():
    network = member("assemblenet", 1)
    keys = {part.key for part in parts_of(network, HEAD)}

    def changed(other, head=HEAD):
        return {key.split("-input")[0] for key in keys - {p.key for p in parts_of(other, head)}}

    assert changed(network, VideoClassifier(classes=6)) == {"scores"}
    assert changed(replace(network, flow_iterations=4)) == {"flow"}
    assert changed(replace(network, inner=(8, 16, 32, 65))) == {"entry", "body"}
    assert changed(replace(network, repeats=(1, 2, 3, 2))) == {"body"}
    assert changed(replace(network, head_filters=(7,))) >= {"end", "scores"}
    everywhere = {key.split("-input")[0] for key in keys}
    assert changed(replace(network, frames=5)) == everywhere - {"scores", "join"}
    assert changed(replace(network, activation=Activation.SWISH)) == everywhere


def test_labels_tell_kinds_of_parts_apart():
    labels = {part.label for part in parts_of(member("assemblenet", 1), HEAD)}
    assert labels >= {
        "flow", "stem-rgb", "stem-flow", "read", "read-smaller", "add", "match", "entry",
        "around", "body", "end", "scores",
    }  # fmt: skip


def test_another_head_than_one_of_videos_has_no_parts():
    with pytest.raises(InputError, match="only a classifier of videos as its head"):
        parts_of(member("assemblenet"), Classifier(classes=2))
