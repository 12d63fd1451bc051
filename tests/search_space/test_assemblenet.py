import json
from dataclasses import replace

import pytest

from search_space.architecture import Classifier, Family, VideoClassifier, from_json
from search_space.assemblenet import (
    Attention,
    FlowSource,
    FramePooling,
    ModuleKind,
    MultiStreamArchitecture,
    StreamStemLayers,
)
from search_space.stream_graph import StemKind, StreamGraph, StreamNode, StreamStem
from workspace.errors import InputError

RGB, FLOW, OBJECT = StemKind.RGB, StemKind.FLOW, StemKind.OBJECT


def node(level, *inputs, filters=8, dilation=1, gates=None):
    return StreamNode(level=level, inputs=inputs, filters=filters, dilation=dilation, gates=gates)


def network(*nodes, stems=((RGB, 2), (FLOW, 1)), **settings):
    """Two streams, fused at level 0, and one node at each other level."""
    chain = (node(0, 0, 1), node(1, 2), node(2, 3, dilation=4), node(3, 4))
    given = {"size": 32, "frames": 8, "repeats": (2, 2, 2, 2), **settings}
    graph = StreamGraph(
        stems=tuple(StreamStem(kind=kind, dilation=rate) for kind, rate in stems),
        nodes=nodes or chain,
    )
    return MultiStreamArchitecture(graph=graph, **given)


def test_a_key_tells_all_that_is_built():
    assert network().key == (
        "assemblenet_32px_8f_3ch_relu_stem32k7t5r4_x2.2.2.2_i64.128.256.512_s1.2.2.2_flow40_"
        "rgb2_flow_0f8d1i0-1_1f8d1i2_2f8d4i3_3f8d1i4"
    )
    assert network().family is Family.MULTI_STREAM


@pytest.mark.parametrize(
    "settings",
    [
        {"size": 64},
        {"frames": 16},
        {"channels": 1},
        {"repeats": (2, 2, 2, 3)},
        {"inner": (8, 8, 8, 8)},
        {"strides": (2, 2, 2, 2), "size": 64},
        {"stem": StreamStemLayers(filters=16)},
        {"stem": StreamStemLayers(reduction=2)},
        {"module": ModuleKind.INVERTED},
        {"attention": Attention.PEER},
        {"flow": FlowSource.GIVEN},
        {"flow_iterations": 10},
        {"head_filters": (64, 128)},
        {"pooling": FramePooling.SOFTMAX},
        {"dropout": 0.5},
    ],
    ids=str,
)
def test_every_setting_is_in_the_key_and_survives_json(settings):
    changed = network(**settings)
    assert changed.key != network().key
    restored = from_json(json.loads(json.dumps(changed.to_json())))
    assert restored == changed
    assert restored.key == changed.key


def test_the_weights_do_not_depend_on_size_and_frames():
    assert network(size=64, frames=16).weights_key == network().weights_key
    assert network().at(64) == network(size=64)


def test_what_is_not_read_is_not_in_the_key():
    without = network(node(0, 0), node(1, 2), node(2, 3), node(3, 4))
    assert without.key == replace(without, flow=FlowSource.GIVEN, objects=7).key
    assert "flow" not in without.key


def test_nodes_that_lead_nowhere_are_not_in_the_key():
    chain = (node(0, 0, 1), node(1, 2), node(2, 3, dilation=4), node(3, 4))
    assert network(*chain, node(1, 0, filters=80)).key == network().key


def test_gates_that_are_fixed_are_in_the_key_and_survive_json():
    chain = (node(1, 2), node(2, 3, dilation=4), node(3, 4))
    fixed = network(node(0, 0, 1, gates=(0.25, 0.1)), *chain)
    assert "_0f8d1i0g0.25-1g0.1_" in fixed.key
    assert from_json(json.loads(json.dumps(fixed.to_json()))) == fixed


def test_a_dilation_without_a_convolution_over_frames_is_none():
    single = network(repeats=(2, 2, 1, 2))
    assert "_2f8d1i3_" in single.key
    assert single.graph.nodes[2].dilation == 1
    inverted = network(repeats=(2, 2, 1, 2), module=ModuleKind.INVERTED)
    assert "_2f8d4i3_" in inverted.key


def test_inputs_are_those_that_are_read():
    def read(*kinds, **settings):
        stems = tuple((kind, 1) for kind in kinds)
        levels = len(kinds)
        chain = [node(0, *range(levels))]
        chain += [node(level, levels + level - 1) for level in (1, 2, 3)]
        inputs = network(*chain, stems=stems, **settings).inputs
        return {spec.name: spec.shape for spec in inputs}

    assert read(RGB) == read(FLOW) == read(RGB, FLOW) == {"clip": (3, 8, 32, 32)}
    assert read(FLOW, flow=FlowSource.GIVEN) == {"clip": (3, 8, 32, 32), "flow": (2, 8, 32, 32)}
    assert read(OBJECT) == {"objects": (151, 8, 32, 32)}
    assert read(RGB, FLOW, OBJECT, flow=FlowSource.GIVEN, objects=5) == {
        "clip": (3, 8, 32, 32),
        "flow": (2, 8, 32, 32),
        "objects": (5, 8, 32, 32),
    }


def test_a_document_may_list_nodes_before_what_they_read():
    document = network().to_json()
    document["nodes"] = [
        {"level": 3, "inputs": [5], "filters": 8, "dilation": 1, "gates": None},
        {"level": 0, "inputs": [1, 0], "filters": 8, "dilation": 1, "gates": None},
        {"level": 1, "inputs": [3], "filters": 8, "dilation": 1, "gates": None},
        {"level": 2, "inputs": [4], "filters": 8, "dilation": 4, "gates": None},
    ]
    assert from_json(document) == network()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"frames": 4},
            "node 4 has a temporal dilation of 4, which needs clips of at least 5 frames",
        ),
        ({"frames": 2}, "node 0 .* needs clips of at least 3 frames, got 2"),
        ({"size": 31}, "at least 32 pixels"),
        ({"size": 32.0}, "whole number"),
        ({"frames": 0}, "frames of a clip"),
        ({"channels": 0}, "input channels"),
        ({"repeats": (1, 1, 1)}, "repeats of a network of streams are 4, one a level"),
        ({"inner": (1, 1, 1, 0)}, "inner of a level"),
        ({"strides": (1, 2, 2, 3)}, "strides of levels must be 1 or 2"),
        ({"dropout": 1.0}, "dropout"),
        ({"flow_iterations": 0}, "iterations of the flow"),
        ({"objects": 0}, "object maps"),
        ({"head_filters": (0,)}, "head filters"),
    ],
)
def test_a_network_that_cannot_be_is_refused_with_what_is_wrong(settings, text):
    with pytest.raises(InputError, match=text):
        network(**settings)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"filters": 0}, "filters of a stem"),
        ({"kernel": 2}, "kernel of a stem must be an odd number"),
        ({"temporal_kernel": 4}, "temporal kernel of a stem must be an odd number"),
        ({"reduction": 3}, "reduction of a stem must be 1, 2 or 4"),
    ],
)
def test_a_stem_that_cannot_be_is_refused(settings, text):
    with pytest.raises(InputError, match=text):
        StreamStemLayers(**settings)


def test_flow_that_is_computed_needs_two_frames():
    chain = (node(0, 0), node(1, 1), node(2, 2), node(3, 3))
    with pytest.raises(InputError, match="flow needs clips of at least 2 frames, got 1"):
        network(*chain, stems=((FLOW, 1),), frames=1)
    assert network(*chain, stems=((FLOW, 1),), frames=1, flow=FlowSource.GIVEN).frames == 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"module": "dense"}, "module"),
        ({"version": 2}, "version"),
        ({"repeats": [1, 1, 1, "1"]}, "repeats are whole numbers"),
        ({"stems": [{"kind": "sound", "dilation": 1}]}, "kind"),
        ({"nodes": [{"level": 0}]}, "a node lacks the field"),
        (
            {"nodes": [{"level": 0, "inputs": [0], "filters": 8, "dilation": 1, "gates": ["x"]}]},
            "gates of a node are numbers",
        ),
    ],
)
def test_documents_with_wrong_parts_are_refused_by_name(change, text):
    with pytest.raises(InputError, match=text):
        from_json(network().to_json() | change)


def test_only_a_classifier_of_videos_is_its_head():
    with pytest.raises(InputError, match="only a classifier of videos"):
        network().build(Classifier(classes=3))


def test_a_classifier_of_videos_has_a_class():
    with pytest.raises(InputError, match="at least 1 class, got 0"):
        VideoClassifier(classes=0)
