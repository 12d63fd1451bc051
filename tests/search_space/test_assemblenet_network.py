import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from exporters.exporter import create
from exporters.testing import (
    expected,
    feeds,
    random_inputs,
    randomize,
    sensitivity,
    tflite_parity,
)
from exporters.verify import TOLERANCE, parity
from search_space.architecture import VideoClassifier
from search_space.assemblenet import (
    Attention,
    FlowSource,
    FramePooling,
    ModuleKind,
    MultiStreamArchitecture,
    StreamStemLayers,
)
from search_space.assemblenet_networks import create as create_network
from search_space.clip_layers import Bottleneck, InvertedBottleneck, SameConv3d, SameMaxPool3d
from search_space.representation_flow import RepresentationFlow
from search_space.space import create as create_space
from search_space.stream_fusion import ChannelAttention, Source, StreamFusion, thetas
from search_space.stream_graph import StemKind, StreamGraph, StreamNode, StreamStem

HEAD = VideoClassifier(classes=5)
SMALL = {
    "size": "32",
    "frames": "8",
    "strides": "small",
    "width": "0.125",
    "repeats": "2,2,1,2",
    "flow_iterations": "3",
}


def small(**settings):
    """Two streams, a node a level, and a second one at level 3 of another width."""
    graph = StreamGraph(
        stems=(StreamStem(kind=StemKind.RGB, dilation=2), StreamStem(kind=StemKind.FLOW)),
        nodes=(
            StreamNode(level=0, inputs=(0, 1), filters=4),
            StreamNode(level=1, inputs=(0, 2), filters=4, dilation=2),
            StreamNode(level=2, inputs=(3,), filters=4),
            StreamNode(level=3, inputs=(1, 3, 4), filters=4),
            StreamNode(level=3, inputs=(4,), filters=8),
        ),
    )
    given = {
        "size": 32,
        "frames": 4,
        "repeats": (2, 2, 1, 2),
        "inner": (4, 8, 8, 8),
        "stem": StreamStemLayers(filters=8, reduction=2),
        "flow_iterations": 3,
        **settings,
    }
    return MultiStreamArchitecture(graph=graph, **given)


def source(number, channels, reduction=4, *, is_map=False):
    return Source(number=number, channels=channels, reduction=reduction, is_map=is_map)


def test_inputs_of_one_width_are_added_each_by_its_gate():
    fusion = StreamFusion("node3", [source(0, 4), source(1, 4)], (0.25, 0.75), None)
    first, second = torch.randn(2, 4, 3, 5, 5), torch.randn(2, 4, 3, 5, 5)
    torch.testing.assert_close(fusion([first, second]), 0.25 * first + 0.75 * second)
    assert list(fusion.parameters()) == []
    assert fusion.gates() == {"node3": pytest.approx((0.25, 0.75))}


def test_a_single_input_goes_through_as_it_is():
    fusion = StreamFusion("node3", [source(1, 4)], None, None)
    first, second = torch.randn(2, 9, 3, 5, 5), torch.randn(2, 4, 3, 5, 5)
    assert torch.equal(fusion([first, second]), second)
    assert fusion.gates() == {}
    assert fusion.channels == 4


def test_larger_inputs_are_pooled_to_the_smallest():
    fusion = StreamFusion("node3", [source(0, 4, 2), source(1, 4, 8)], (0.5, 0.5), None)
    first, second = torch.randn(2, 4, 3, 25, 25), torch.randn(2, 4, 3, 7, 7)
    around = nn.functional.pad(first, (1, 2, 1, 2), value=float("-inf"))
    pooled = nn.functional.max_pool3d(around, (1, 4, 4))
    torch.testing.assert_close(fusion([first, second]), 0.5 * pooled + 0.5 * second)
    assert fusion.reduction == 8


def test_the_sum_of_a_smaller_width_goes_through_one_convolution():
    read = [source(0, 4), source(1, 6), source(2, 4), source(3, 9, is_map=True)]
    fusion = StreamFusion("node4", read, None, None)
    widths = [each.weight.shape[:2] for each in fusion.modules() if isinstance(each, nn.Conv3d)]
    assert fusion.channels == 6
    assert widths == [(6, 4), (6, 9)]
    features = [torch.randn(1, each.channels, 2, 3, 3) for each in read]
    assert fusion.theta is not None
    gates = torch.sigmoid(fusion.theta)
    narrow, _, wide = fusion.matching
    wanted = narrow(gates[0] * features[0] + gates[2] * features[2])
    wanted = wanted + gates[1] * features[1] + wide(gates[3] * features[3])
    torch.testing.assert_close(fusion(features), wanted)


def test_thetas_give_their_gates_back():
    gates = [0.028569204732775688, 0.5, 0.9892204403877258]
    torch.testing.assert_close(
        torch.sigmoid(thetas(gates)), torch.tensor(gates), rtol=0, atol=1e-6
    )


def test_peers_gate_channels_in_the_shares_that_are_learned():
    attention = ChannelAttention(4, 6, 2)
    assert attention.shares is not None
    with torch.no_grad():
        attention.shares.copy_(torch.tensor([0.0, 1.0]))
    clip, peers = torch.randn(2, 4, 3, 5, 5), [torch.randn(2, 6, 3, 1, 1) for _ in range(2)]
    shares = torch.softmax(torch.tensor([0.0, 1.0]), 0)
    mixed = (shares[0] * peers[0] + shares[1] * peers[1])[..., 0, 0]
    weight, bias = attention.dense.weight[:, :, 0, 0, 0], attention.dense.bias
    assert bias is not None
    gates = torch.sigmoid(torch.einsum("nct,dc->ndt", mixed, weight) + bias[:, None])
    torch.testing.assert_close(attention(clip, peers), clip * gates[..., None, None])


def test_a_connections_attention_to_itself_takes_its_own_mean():
    attention, clip = ChannelAttention(4, 4, 0), torch.randn(2, 4, 3, 5, 5)
    gates = torch.sigmoid(attention.dense(clip.mean((3, 4), keepdim=True)))
    torch.testing.assert_close(attention(clip, []), clip * gates)


def test_modules_are_2d_and_over_frames_in_turn():
    network = create_network("assemblenet-26").build(HEAD)
    for node in network.nodes:
        kernels = [each.body[0].kernel_size for each in node.body]
        assert kernels == [(1, 1, 1), (3, 1, 1)]


def test_every_node_of_the_mobile_family_sees_other_frames():
    network = small(module=ModuleKind.INVERTED, repeats=(1, 1, 1, 1)).build(HEAD)
    for node in network.nodes:
        (module,) = node.body
        assert isinstance(module, InvertedBottleneck)
        kernels = [each.kernel_size for each in module.body if isinstance(each, nn.Conv3d)]
        assert kernels == [(1, 1, 1), (1, 3, 3), (3, 1, 1)]


def test_a_residual_module_starts_as_what_goes_around_it():
    network = small().build(HEAD).eval()
    (module,) = [m for m in network.modules() if isinstance(m, Bottleneck)][:1]
    clip = torch.randn(1, 8, 4, 9, 9)
    assert torch.equal(module(clip), module.shortcut(clip).relu())


@pytest.mark.parametrize("size", [7, 8, 13])
@pytest.mark.parametrize(
    "layer", [SameConv3d(3, 5, 3, 2), SameConv3d(3, 5, 7, 2), SameMaxPool3d(3, 2)]
)
def test_strides_round_up_at_any_size(layer, size):
    made = layer(torch.randn(1, 3, 2, size, size + 1))
    assert made.shape[2:] == (2, -(-size // 2), -(-(size + 1) // 2))


def test_one_set_of_weights_runs_at_any_size_and_number_of_frames():
    network = small().build(HEAD).eval()
    for frames, size in ((4, 32), (6, 32), (4, 47), (9, 64)):
        scores = network(torch.randn(2, 3, frames, size, size))
        assert scores.shape == (2, 5)
        assert bool(torch.isfinite(scores).all())


def test_what_is_beside_a_clip_does_not_change_its_scores():
    network, clips = small().build(HEAD).eval(), torch.randn(2, 3, 4, 32, 32)
    clips[1] *= 100
    torch.testing.assert_close(network(clips)[:1], network(clips[:1]), rtol=1e-4, atol=1e-5)


def test_scores_of_long_clips_are_weighed_by_frame():
    network = small(pooling=FramePooling.SOFTMAX).build(HEAD).eval()
    seen = []
    network.head.classifiers[0].register_forward_hook(lambda *call: seen.append(call[2]))
    network.head.classifiers[1].register_forward_hook(lambda *call: seen.append(call[2]))
    scores = network(torch.randn(2, 3, 4, 32, 32))
    by_frame = (seen[0] + seen[1])[:, :, :, 0, 0]
    shares = torch.softmax(by_frame / 2, 2)
    torch.testing.assert_close(scores, (by_frame * shares).sum(2))


def test_gradients_reach_every_weight():
    for settings in ({}, {"attention": Attention.PEER}, {"module": ModuleKind.INVERTED}):
        network = small(**settings).build(HEAD)
        randomize(network, random_inputs((1, 3, 4, 32, 32)))
        network.train()(torch.randn(2, 3, 4, 32, 32)).square().sum().backward()
        without = [n for n, p in network.named_parameters() if p.grad is None]
        assert without == []


def gates_of(network):
    found: dict[str, Sequence[float]] = {}
    for module in network.modules():
        if isinstance(module, StreamFusion):
            found |= module.gates()
    return found


def test_gates_move_while_a_network_trains():
    network = small().build(HEAD)
    before = gates_of(network)
    optimizer = torch.optim.SGD(network.parameters(), 1.0)
    for _ in range(3):
        network(torch.randn(4, 3, 4, 32, 32)).square().sum().backward()
        optimizer.step()
    after = gates_of(network)
    assert all(gate == pytest.approx(0.5, abs=0.006) for v in before.values() for gate in v)
    assert any(abs(a - b) > 1e-4 for k in before for a, b in zip(before[k], after[k], strict=True))


def parity_of(architecture, folder):
    """Of the file of the fast writer, in LiteRT, with torch, for weights that hide nothing."""
    network = architecture.build(HEAD)
    shapes = [(1, *spec.shape) for spec in architecture.inputs]
    inputs = random_inputs(*shapes, names=tuple(spec.name for spec in architecture.inputs))
    randomize(network, inputs)
    assert sensitivity(network, inputs) > 0.01
    artifact = create("tflite").export(network, inputs, folder)
    assert [spec.name for spec in artifact.inputs] == [spec.name for spec in architecture.inputs]
    return tflite_parity(network, artifact, inputs)


@pytest.mark.parametrize(
    ("space", "options"),
    [
        ("assemblenet", {}),
        ("assemblenet_mobile", {"flow": "given"}),
        ("assemblenet", {"stems": "rgb,object", "nodes": "2", "attention": "peer"}),
        ("assemblenet", {"stems": "rgb,rgb", "attention": "self", "nodes": "3"}),
        ("assemblenet", {"stems": "flow", "flow": "given", "nodes": "1"}),
        ("assemblenet", {"pooling": "softmax", "flow": "given"}),
        ("assemblenet_mobile", {"pooling": "softmax", "stems": "rgb"}),
    ],
)
def test_random_members_are_exported_as_they_are(space, options, tmp_path):
    found = create_space(space, {**SMALL, **options})
    member = found.decode(found.points.sample(random.Random(5)))
    assert parity_of(member, tmp_path).passed


def test_a_network_that_computes_its_flow_is_exported_as_onnx_as_it_is(tmp_path):
    """The clip is letterboxed: where it is flat nothing may be divided by 0."""
    pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")
    from exporters.onnx_runtime import OnnxModel

    network, inputs = small().build(HEAD), random_inputs((1, 3, 4, 32, 32), names=("clip",))
    assert isinstance(network.flow, RepresentationFlow)
    randomize(network, inputs)
    artifact = create("onnx").export(network, inputs, tmp_path)
    outputs = OnnxModel(artifact.path).run(feeds(artifact, inputs))
    assert parity(outputs, expected(network, artifact, inputs)).passed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("assemblenet-plus-lite", {"size": 64, "flow": FlowSource.GIVEN}),
        ("assemblenet-26", {"size": 32, "flow_iterations": 5}),
        ("assemblenet-50", {"size": 32, "flow_iterations": 5}),
    ],
)
def test_published_networks_are_exported_as_they_are(name, settings, tmp_path):
    assert parity_of(replace(create_network(name), frames=9, **settings), tmp_path).passed


@pytest.mark.slow
@torch.no_grad()
def test_random_weights_hide_no_fault_at_the_end_of_a_residual_branch():
    found = create_network("assemblenet-plus-lite")
    network = replace(found, size=64, frames=9, flow=FlowSource.GIVEN).build(HEAD)
    norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm3d)]
    ends = [norm for norm in norms if not norm.weight.any()]
    inputs = random_inputs((1, 3, 9, 64, 64), (1, 2, 9, 64, 64), names=("clip", "flow"))
    randomize(network, inputs)
    clips = [given.value for given in inputs]
    right = network(*clips)
    assert len(ends) == 55
    for norm in ends:
        mean = norm.running_mean.clone()
        norm.running_mean.zero_()
        assert (network(*clips) - right).abs().max() > 100 * TOLERANCE * right.abs().max()
        norm.running_mean.copy_(mean)
