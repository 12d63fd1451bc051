import math
from dataclasses import replace

import pytest

from search_space.architecture import VideoClassifier
from search_space.assemblenet_networks import DEPTHS, STRUCTURES, create
from search_space.assemblenet_spaces import assemblenet, assemblenet_mobile
from search_space.stream_graph import LEVELS
from search_space.stream_mutations import ungated


@pytest.mark.parametrize(
    ("name", "filters"),
    [
        ("assemblenet-50", (128, 256, 512, 512)),
        ("assemblenet-101", (128, 256, 384, 256)),
        ("assemblenet-plus-50", (128, 256, 512, 512)),
        ("assemblenet-plus-lite", (24, 96, 136, 192)),
    ],
)
def test_published_structures_have_the_published_filters(name, filters):
    graph = create(name).graph
    assert tuple(map(graph.filters_of, range(LEVELS))) == filters
    # One node of AssembleNet++ is read by none: its weights were not learned either.
    assert graph.size - len(graph.live) == (1 if name == "assemblenet-plus-50" else 0)


@pytest.mark.parametrize("name", ["assemblenet-50", "assemblenet-101"])
def test_28_gates_are_fixed(name):
    gates = [gate for node in create(name).graph.nodes for gate in node.gates or ()]
    assert len(gates) == 28
    assert sum(gates) == pytest.approx(15.789497604593635)
    assert {0.028569204732775688, 0.9892204403877258} == {min(gates), max(gates)}


def test_the_gates_of_a_node_stay_with_its_inputs():
    # Node 8 as published: RGB stem 0 at 0.16, and the four nodes of level 0.
    graph = create("assemblenet-50").graph
    (node,) = (each for each in graph.nodes if each.level == 1 and len(each.inputs) == 5)
    assert node.gates is not None
    by_input = dict(zip(node.inputs, node.gates, strict=True))
    assert by_input[min(by_input)] == 0.16382087767124176
    of_level_0 = {
        (graph.node(source).dilation, len(graph.node(source).inputs)): gate
        for source, gate in by_input.items()
        if source >= len(graph.stems)
    }
    assert of_level_0 == {
        (1, 1): 0.8852924704551697,
        (4, 1): 0.4039595425128937,
        (1, 4): 0.6823437809944153,
        (2, 2): 0.5331538319587708,
    }


@pytest.mark.parametrize("name", STRUCTURES)
def test_repeats_are_those_of_the_depth(name):
    depth = name.rpartition("-")[2]
    wanted = DEPTHS[int(depth)] if depth.isdigit() else (3, 5, 11, 7)
    assert create(name).repeats == wanted


@pytest.mark.parametrize(
    ("name", "classes", "params"),
    [  # counted from the published code's definition, without the 28 gates
        ("assemblenet-50", 339, 37_273_875),
        ("assemblenet-50", 157, 36_900_957),
        ("assemblenet-50", 400, 37_398_864),
        ("assemblenet-50", 600, 37_808_664),
    ],
)
def test_parameters_are_those_of_the_published_code(name, classes, params):
    torch = pytest.importorskip("torch")
    with torch.device("meta"):
        network = create(name).build(VideoClassifier(classes=classes))
    assert sum(each.numel() for each in network.parameters()) == params
    kinds = {
        kind: sum(
            p.numel() for m in network.modules() if isinstance(m, kind) for p in m.parameters()
        )
        for kind in (torch.nn.Conv3d, torch.nn.BatchNorm3d)
    }
    assert kinds == {torch.nn.Conv3d: 36_492_608, torch.nn.BatchNorm3d: 86_656}


def test_assemblenet_101_has_53_million_parameters():
    torch = pytest.importorskip("torch")
    with torch.device("meta"):
        network = create("assemblenet-101").build(VideoClassifier(classes=339))
    params = sum(each.numel() for each in network.parameters())
    assert round(params / 1e6, 1) == 53.3


def test_multiply_adds_are_those_of_the_published_code():
    """Of 32 frames of 224 pixels, on shapes alone; flow has none."""
    torch = pytest.importorskip("torch")
    from exporters.recorder import Recorder

    architecture = create("assemblenet-50")
    (spec,) = architecture.inputs
    assert spec.shape == (3, 32, 224, 224)
    with torch.device("meta"), torch.no_grad():
        network = architecture.build(VideoClassifier(classes=339)).eval()
        recorder = Recorder((clip := torch.zeros(1, *spec.shape),))
        with recorder:
            network(clip)
    assert recorder.macs == 250_453_596_160


def test_gates_come_back_from_what_a_sigmoid_makes_them_of():
    torch = pytest.importorskip("torch")
    from search_space.stream_fusion import StreamFusion

    network = create("assemblenet-26").build(VideoClassifier(classes=3))
    fusions = [each for each in network.modules() if isinstance(each, StreamFusion)]
    told = [gate for each in fusions for values in each.gates().values() for gate in values]
    nodes = create("assemblenet-26").graph.nodes
    published = [gate for node in nodes for gate in node.gates or ()]
    assert len(told) == 28
    assert max(abs(a - b) for a, b in zip(told, published, strict=True)) <= 1e-6
    thetas = torch.cat([each.theta for each in fusions if each.theta is not None])
    wanted = [-math.log(1 / gate - 1) for gate in published]
    assert max(abs(a - b) for a, b in zip(thetas.tolist(), wanted, strict=True)) <= 1e-6
    assert not any("theta" in name for name, _ in network.named_parameters())


def test_the_published_structures_with_learned_gates_are_members_of_the_spaces():
    for space, name in (
        (assemblenet({}), "assemblenet-50"),
        (
            assemblenet_mobile({"attention": "peer", "stems": "rgb,flow"}),
            "assemblenet-plus-lite",
        ),
    ):
        network = create(name)
        learned = replace(network, graph=ungated(network.graph))
        assert space.decode(space.encode(learned)) == learned
