import inspect
import math

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn
from torch.nn import functional

from delivery.export import with_line
from exporters.cost import count
from exporters.exporter import ExportError, NamedInput
from exporters.graph import (
    Binary,
    BinaryKind,
    Constant,
    Convolution,
    Depthwise,
    Fused,
    Mean,
    Pad,
    Padding,
    Pool,
    Reshape,
    Resize,
    Unary,
)
from exporters.testing import random_inputs, randomize, tflite_parity
from exporters.tflite import write
from exporters.trace import to_graph, traced
from search_space.clip_layers import SameConv3d, SameMaxPool3d
from search_space.spinenet_layers import SameMaxPool2d

IMAGE = (1, 3, 16, 20)


class Branches(nn.Module):
    """Layers for forwards of one line, given as functions of the module and the image."""

    def __init__(self, forward):
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.gate = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sigmoid())
        self.dropout = nn.Dropout()
        self._forward = forward

    def forward(self, image):
        return self._forward(self, image)


def exported(module, folder, *shapes):
    """The graph, once its file was found to compute what the module does."""
    inputs = random_inputs(*(shapes or (IMAGE,)))
    randomize(module, inputs)
    graph = to_graph(module, inputs)
    parity = tflite_parity(module, write(graph, folder), inputs)
    assert parity.passed, parity
    return graph


def kinds(graph):
    return [type(node.operator) for node in graph.nodes]


def test_a_batch_norm_and_an_activation_become_part_of_a_convolution(tmp_path):
    module = Branches(lambda m, x: functional.relu6(m.norm(m.convolution(x))))
    (node,) = exported(module, tmp_path).nodes
    assert node.operator.fused is Fused.RELU6


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: functional.relu(m.convolution(x)),
        lambda m, x: torch.relu_(m.convolution(x)),
        lambda m, x: m.convolution(x).relu(),
        lambda m, x: functional.relu(m.dropout(m.convolution(x)), inplace=True),
    ],
)
def test_an_activation_is_fused_however_it_is_written(forward, tmp_path):
    (node,) = exported(Branches(forward), tmp_path).nodes
    assert node.operator.fused is Fused.RELU


def after(m, x):
    y = m.convolution(x)
    return functional.relu(y) + y


def before(m, x):
    y = m.convolution(x)
    return y + functional.relu(y)


def past_a_dropout(m, x):
    y = m.convolution(x)
    return functional.relu(m.dropout(y)) + y


def norm_of_one_branch(m, x):
    y = m.convolution(x)
    return m.norm(y) + y


def two_activations(m, x):
    y = m.convolution(x)
    return functional.relu(y) + functional.relu6(y)


def also_an_output(m, x):
    y = m.convolution(x)
    return y, functional.relu(y)


@pytest.mark.parametrize(
    "forward",
    [after, before, past_a_dropout, norm_of_one_branch, two_activations, also_an_output],
)
def test_what_somebody_else_reads_is_not_fused(forward, tmp_path):
    graph = exported(Branches(forward), tmp_path)
    convolution = graph.nodes[0].operator
    assert isinstance(convolution, Convolution)
    assert convolution.fused is Fused.NONE


def in_place_before_it_is_read_again(m, x):
    y = m.convolution(x)
    return functional.relu(y, inplace=True) + y


def in_place_after_it_was_read(m, x):
    y = m.convolution(x)
    read = y * torch.sigmoid(y)
    return functional.relu(y, inplace=True) + y + read


def added_in_place(m, x):
    y = m.convolution(x)
    z = m.dropout(y)
    y += m.gate(y)
    return y * z


@pytest.mark.parametrize(
    "forward", [in_place_before_it_is_read_again, in_place_after_it_was_read, added_in_place]
)
def test_in_place_operators_change_what_others_read(forward, tmp_path):
    exported(Branches(forward), tmp_path)


def test_a_batch_norm_without_a_layer_before_it_is_a_depthwise_pixel(tmp_path):
    module = Branches(lambda m, x: functional.relu(m.norm(x)))
    (node,) = exported(module, tmp_path).nodes
    assert isinstance(node.operator, Depthwise)
    assert node.operator.fused is Fused.RELU


def test_a_batch_norm_is_folded_into_a_linear_layer(tmp_path):
    module = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU())
    assert len(exported(module, tmp_path, (1, 6)).nodes) == 1


def test_epsilon_is_honoured(tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, eps=0.5))
    exported(module, tmp_path)


def test_a_batch_norm_without_gamma_and_beta_is_folded(tmp_path):
    exported(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, affine=False)), tmp_path)


def test_what_leads_to_no_output_is_left_out(tmp_path):
    def forward(m, x):
        m.gate(x)
        return m.convolution(x)

    graph = exported(Branches(forward), tmp_path)
    assert kinds(graph) == [Convolution]
    assert len(graph.shapes) == 2


@pytest.mark.parametrize("size", [(16, 16), (15, 17), (7, 8)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolutions_of_every_kind(kernel, stride, size, groups, tmp_path):
    layer = nn.Conv2d(4, 8, kernel, stride, padding=kernel // 2, groups=groups)
    exported(nn.Sequential(layer), tmp_path, (1, 4, *size))


@pytest.mark.parametrize("padding", [0, 1, (2, 0), "same", "valid"])
@pytest.mark.parametrize("dilation", [1, 2])
def test_padding_of_every_kind(padding, dilation, tmp_path):
    for groups in (1, 4):
        layer = nn.Conv2d(4, 4, 3, padding=padding, dilation=dilation, groups=groups)
        exported(nn.Sequential(layer), tmp_path, (1, 4, 9, 12))


def paddings(layer, size):
    module = nn.Sequential(layer)
    graph = to_graph(module, random_inputs((1, 3, size, size)))
    return [
        "PAD" if isinstance(node.operator, Pad) else node.operator.padding for node in graph.nodes
    ]


def test_padding_is_named_same_only_where_it_is_the_same():
    assert paddings(nn.Conv2d(3, 4, 3, 1, 1), 16) == [Padding.SAME]
    assert paddings(nn.Conv2d(3, 4, 3, 2, 1), 15) == [Padding.SAME]
    assert paddings(nn.Conv2d(3, 4, 3, 2, 1), 16) == ["PAD", Padding.VALID]
    assert paddings(nn.Conv2d(3, 4, 3, 1, 0), 16) == [Padding.VALID]
    assert paddings(nn.Conv2d(3, 4, 3, 1, 2), 16) == ["PAD", Padding.VALID]


@pytest.mark.parametrize(
    "pool",
    [
        nn.AvgPool2d(2),
        nn.AvgPool2d(3, 2, 1),
        nn.AvgPool2d(3, 1, 1, count_include_pad=False),
        nn.MaxPool2d(2),
        nn.MaxPool2d(3, 1, 1),
        nn.MaxPool2d(3, 2, 1),
        nn.MaxPool2d((1, 2), (2, 1)),
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveAvgPool2d((1, 1)),
    ],
    ids=str,
)
def test_pools_of_every_kind(pool, tmp_path):
    exported(nn.Sequential(pool), tmp_path)
    exported(nn.Sequential(nn.Conv2d(3, 3, 1), pool), tmp_path)


@pytest.mark.parametrize("factors", [(2, 2), (16, 16), (3, 1), (1, 4), (1, 1)])
def test_pixels_that_are_repeated_are_products_that_xnnpack_takes(factors, tmp_path):
    def forward(m, x):
        rows, columns = factors
        grown = functional.interpolate(m.convolution(x), (5 * rows, 7 * columns))
        return functional.relu(m.norm(grown)) + grown

    graph = exported(Branches(forward), tmp_path, (2, 3, 5, 7))
    assert Resize not in kinds(graph)
    products = [n for n in graph.nodes if getattr(n.operator, "kind", "") is BinaryKind.MUL]
    assert len(products) == sum(factor > 1 for factor in factors)


def test_pixels_that_are_left_out_stay_a_resize(tmp_path):
    graph = exported(Branches(lambda _, x: functional.interpolate(x, (8, 10))), tmp_path)
    assert kinds(graph) == [Resize]


@pytest.mark.parametrize("size", [15, 16, 17])
def test_a_maximum_that_says_that_it_pads_as_same_needs_no_pad(size, tmp_path):
    (node,) = exported(SameMaxPool2d(5, 4), tmp_path, (1, 3, size, size + 2)).nodes
    assert node.operator.padding is Padding.SAME


def squeeze_with_views(m, x):
    y = m.convolution(x)
    batch, channels, _, _ = y.size()
    mean = functional.adaptive_avg_pool2d(y, output_size=1).view(batch, channels)
    return y * torch.sigmoid(mean).reshape(batch, channels, 1, 1)


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: functional.silu(m.convolution(x)),
        lambda m, x: x + m.convolution(x),
        lambda m, x: torch.mul(x, m.gate(x)),
        lambda _, x: torch.mean(x, dim=(-1, -2)),
        lambda _, x: x.mean([2, 3], keepdim=True),
        lambda m, x: functional.pad(m.convolution(x), (1, 2, 3, 4)),
        lambda _, x: functional.pad(x, (1, 0, 0, 1), mode="constant", value=2.0),
        lambda _, x: torch.flatten(x.mean((2, 3), keepdim=True), 1),
        lambda _, x: functional.adaptive_avg_pool2d(x, (1, 1)).flatten(1),
        lambda _, x: x.mean((2, 3)).view(x.shape[0], -1),
        lambda m, x: functional.dropout(m.convolution(x), 0.2, m.training),
        lambda _, x: x * 0.5 + 1,
        lambda _, x: 1 - x / 3,
        lambda _, x: 2 / (x * x + 1),
        lambda _, x: torch.sqrt(x * x + 1) - (x * x).sqrt(),
        lambda _, x: -x,
        lambda _, x: sum([x, x.tanh()]),
        lambda m, x: x * m.norm.weight.view(1, 3, 1, 1),
        lambda m, x: x * torch.sigmoid(m.norm.weight[1]),
        lambda m, x: x - m.norm.bias.view(3, 1, 1),
        lambda _, x: x + torch.full((1, 3, 1, 1), 2.0),
        lambda _, x: torch.cat([x, x.relu(), -x], 1),
        lambda _, x: torch.cat([x, x], dim=-1),
        lambda _, x: torch.cat(x.chunk(2, 2), 3),
        lambda _, x: torch.cat(torch.split(x, [1, 2], 1)[::-1], 1),
        lambda _, x: x.split(2, 1)[1] + x[:, :1],
        lambda _, x: x[:, 1:, 2:-2],
        lambda _, x: functional.interpolate(x, scale_factor=2),
        lambda _, x: functional.interpolate(x, (8, 10)),
        lambda _, x: functional.interpolate(x, (7, 33), mode="bilinear"),
        lambda _, x: functional.interpolate(x, (7, 33), mode="bilinear", align_corners=True),
        lambda m, x: functional.conv2d(x, m.convolution.weight, m.convolution.bias, 2, 1),
        lambda m, x: functional.conv2d(x, m.convolution.weight / 3, padding=1).relu(),
        lambda m, x: functional.linear(x.mean((2, 3)), m.convolution.weight[:, :, 0, 0]),
        lambda m, x: functional.batch_norm(
            m.convolution(x), m.norm.running_mean, m.norm.running_var, m.norm.weight, m.norm.bias
        ),
        lambda _, x: functional.max_pool2d(x, 3, 2, 1),
        lambda _, x: functional.avg_pool2d(x, 2),
        lambda _, x: functional.hardswish(x * 4),
        lambda _, x: functional.hardsigmoid(x * 4),
        lambda _, x: functional.gelu(x),
        lambda _, x: functional.gelu(x, approximate="tanh"),
        lambda _, x: torch.softmax(x, 1),
        lambda _, x: torch.softmax(40 * x, 2),
        lambda _, x: torch.softmax(x - 200, -1),
        lambda _, x: x.sum((2, 3), keepdim=True),
        lambda _, x: torch.sum(x, (2, 3)),
        lambda _, x: x.mean(1, keepdim=True),
        lambda _, x: x.mean(3, keepdim=True),
        lambda _, x: x * x.ndim + x.dim(),
        squeeze_with_views,
    ],
)
def test_functions_and_methods_of_every_kind(forward, tmp_path):
    exported(Branches(forward), tmp_path)


def test_layers_of_every_kind(tmp_path):
    exported(
        nn.Sequential(
            nn.ZeroPad2d(1), nn.Conv2d(3, 4, 3), nn.Hardtanh(0, 6), nn.Identity(), nn.SiLU(),
            nn.Upsample(scale_factor=2), nn.Hardswish(), nn.Hardsigmoid(), nn.GELU(), nn.Tanh(),
            nn.Softmax(1), nn.ReLU6(), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Dropout(), nn.Linear(4, 2),
        ),
        tmp_path,
    )  # fmt: skip


def test_a_single_layer_is_a_module_too(tmp_path):
    assert kinds(exported(nn.Conv2d(3, 4, 1), tmp_path)) == [Convolution]


def test_the_mean_over_pixels_needs_no_reshape(tmp_path):
    (node,) = exported(Branches(lambda _, x: x.mean((2, 3))), tmp_path).nodes
    assert node.operator == Mean(axes=(1, 2), keep=False)


def test_shapes_are_channels_last_and_exact(tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 5, 3, (2, 1), padding=1), nn.MaxPool2d(2))
    graph = exported(module, tmp_path)
    assert graph.shapes[0] == (1, 16, 20, 3)
    assert graph.shapes[graph.outputs[0][1]] == (1, 4, 10, 5)


def test_the_same_tensor_may_be_given_twice(tmp_path):
    graph = exported(Branches(lambda m, x: (m.convolution(x), m.gate(x))), tmp_path)
    assert [name for name, _ in graph.outputs] == ["output_0", "output_1"]
    doubled = to_graph(Branches(lambda m, x: m.convolution(x) + x), random_inputs(IMAGE))
    assert kinds(doubled) == [Convolution, Binary]


class NamesItsOutputs(nn.Module):
    output_names = ("far", "near")

    def __init__(self, count):
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 1)
        self._count = count

    def forward(self, image):
        near = self.convolution(image)
        return (near, near + image, image + 1)[: self._count]


def test_outputs_have_the_names_that_the_module_gives_them(tmp_path):
    graph = exported(NamesItsOutputs(2), tmp_path)
    assert [name for name, _ in graph.outputs] == ["far", "near"]


def test_a_module_that_names_other_outputs_than_it_gives_is_refused():
    with pytest.raises(ExportError, match=r"\['far', 'near'\], the module gives 3 outputs"):
        to_graph(NamesItsOutputs(3), random_inputs(IMAGE))


def test_a_pool_takes_no_activation(tmp_path):
    graph = exported(nn.Sequential(nn.MaxPool2d(2), nn.ReLU()), tmp_path)
    assert kinds(graph) == [Pool, Unary]


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 3, 1), nn.LocalResponseNorm(2))

    def forward(self, image):
        return self.first(image)


def test_an_operator_without_counterpart_is_named_with_its_place_and_line():
    with pytest.raises(ExportError) as raised:
        to_graph(Deep(), random_inputs(IMAGE))
    text = str(raised.value)
    line = Deep.forward.__code__.co_firstlineno + 1
    assert "'LocalResponseNorm'" in text
    assert "layer 'first.1'" in text
    assert f"test_trace.py:{line}" in text


class Wrong(nn.Module):
    """Its ``forward`` is wrong in a way that only the shapes show, each in a line of its own."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.shift = nn.Parameter(torch.zeros(3))

    def forward(self, image):
        match self.kind:
            case "size":
                return image * image.size(7)
            case "view":
                return image + self.shift.view(1, 5, 1, 1)
            case "divide":
                return image / (image.size(1) // (image.size(2) - 16))
            case "round":
                return image * math.floor(image.shape)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("size", "operator 'size' fails: tuple index out of range"),
        ("view", "operator 'view' fails: shape '[1, 5, 1, 1]' is invalid"),
        ("divide", "operator 'floordiv' fails: integer"),
        ("round", "operator 'floor' fails: must be real number"),
    ],
)
def test_what_fails_in_a_forward_is_told_with_its_layer_and_line(kind, said):
    with pytest.raises(ExportError) as raised:
        to_graph(nn.Sequential(nn.ReLU(), Wrong(kind)), random_inputs(IMAGE))
    text = str(raised.value)
    lines, first = inspect.getsourcelines(Wrong.forward)
    (line,) = (first + n + 1 for n, line in enumerate(lines) if f'case "{kind}"' in line)
    assert text.startswith(f"Sequential, layer '1', test_trace.py:{line}: ")
    assert said in text
    assert "\n" not in text


class Branching(nn.Module):
    """No tracer can follow it."""

    def forward(self, image):
        if image.sum() > 0:
            return image
        return -image


@pytest.mark.parametrize(
    "function", [lambda module: to_graph(module, random_inputs(IMAGE)), traced]
)
def test_a_module_that_cannot_be_traced_is_told_with_its_line_once(function):
    line = Branching.forward.__code__.co_firstlineno + 1
    with pytest.raises(ExportError, match="Sequential cannot be traced: ") as raised:
        function(nn.Sequential(nn.ReLU(), Branching()))
    assert str(raised.value).endswith(f" (test_trace.py:{line})")
    assert with_line(raised.value) == str(raised.value)


@pytest.mark.parametrize(
    ("forward", "said"),
    [
        (lambda _, x: torch.cumsum(x, 1), "'cumsum'"),
        (lambda _, x: torch.cat([x, x.mean((2, 3), keepdim=True)], 1), "follow one another"),
        (lambda _, x: torch.add(x, x, alpha=2), "alpha=2"),
        (lambda _, x: torch.div(x, 2, rounding_mode="floor"), "rounding_mode=floor"),
        (lambda m, x: x * m.norm.weight.mul_(2).view(1, 3, 1, 1), "changes a parameter"),
        (lambda _, x: x[:, 0], "[:, 2:5]"),
        (lambda _, x: functional.conv2d(x, x), "depend on an input"),
        (lambda _, x: functional.batch_norm(x, None, None, training=True), "statistics"),
        (lambda _, x: x[:, :, ::2], "step of 1"),
        (lambda _, x: torch.softmax(x, 0), "over channels has"),
        (lambda _, x: x.sum(1), "a sum of (1, 3, 16, 20) over axes 1"),
        (lambda _, x: functional.interpolate(x, (17, 20)), "rounded differently"),
        (lambda _, x: functional.interpolate(x, scale_factor=1.03), "no whole pixels"),
        (lambda _, x: functional.interpolate(x, scale_factor=2, mode="bicubic"), "'bicubic'"),
        (lambda _, x: x + x.dtype, "'dtype'"),
        (lambda _, x: torch.flatten(x, 1), "channels are last"),
        (lambda _, x: x.mean(1), "axes 1"),
        (lambda _, x: x + torch.ones(3), "no common layout"),
        (lambda _, x: x + x.mean((2, 3)), "no common layout"),
        (lambda _, x: functional.pad(x, (1, 1, 1, 1), "reflect"), "'pad'"),
        (lambda m, x: (m.convolution(x), 3), "'output_1' is no tensor"),
        (lambda _, x: x if x.sum() > 0 else -x, "control flow"),
        (lambda *_: 1 // 0, "by zero"),
    ],
)
def test_what_cannot_be_exported_is_said(forward, said):
    with pytest.raises(ExportError, match="Branches") as raised:
        to_graph(Branches(forward), random_inputs(IMAGE))
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(5, 3, 3),
        nn.Conv2d(3, 3, 30),
        nn.Conv2d(3, 3, 3, device="meta"),
        nn.BatchNorm2d(3, track_running_stats=False),
        nn.AvgPool2d(2, divisor_override=3),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.Linear(20, 3),
        nn.AdaptiveAvgPool2d(2),
        nn.Hardtanh(-1, 1),
    ],
    ids=str,
)
def test_layers_that_would_come_out_wrong_are_refused(layer):
    with pytest.raises(ExportError):
        to_graph(nn.Sequential(layer), random_inputs(IMAGE))


def test_inputs_must_fit_the_module():
    module = nn.Sequential(nn.ReLU())
    with pytest.raises(ExportError, match="takes 1 inputs, 2"):
        to_graph(module, random_inputs(IMAGE, IMAGE, names=("a", "b")))
    with pytest.raises(ExportError, match="not given"):
        to_graph(module, ())
    with pytest.raises(ExportError, match="names of their own"):
        to_graph(module, random_inputs(IMAGE, IMAGE, names=("a", "a")))
    with pytest.raises(ExportError, match=r"int64; only torch\.float32"):
        to_graph(module, (NamedInput("labels", torch.zeros(1, 3, dtype=torch.int64)),))


def test_a_failed_trace_leaves_the_module_as_it_was():
    module = Deep().train()
    module.first.eval()
    with pytest.raises(ExportError):
        to_graph(module, random_inputs(IMAGE))
    assert module.training
    assert not module.first[0].training


def test_half_precision_weights_are_written_as_float32():
    module = nn.Conv2d(3, 4, 1).to(torch.bfloat16)
    (node,) = to_graph(module, random_inputs(IMAGE)).nodes
    assert node.operator.weights.dtype == np.float32


def test_threads_that_trace_at_once_leave_torch_as_it_was():
    from concurrent.futures import ThreadPoolExecutor

    network = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(40)))
    inputs = (NamedInput("image", torch.zeros(1, 3, 8, 8)),)
    call, getattr_ = nn.Module.__call__, nn.Module.__getattr__
    with ThreadPoolExecutor(4) as pool:
        graphs = list(pool.map(lambda _: to_graph(network, inputs), range(24)))
    assert {len(graph.nodes) for graph in graphs} == {40}
    assert (nn.Module.__call__, nn.Module.__getattr__) == (call, getattr_)
    assert network(torch.zeros(1, 3, 8, 8)).shape == (1, 3, 8, 8)


def test_tensors_that_a_forward_makes_do_not_stay_in_the_module():
    module = Branches(lambda _, x: x + torch.full((1, 3, 1, 1), 2.0))
    before = set(vars(module))
    to_graph(module, random_inputs(IMAGE))
    assert set(vars(module)) == before


def test_a_constant_is_no_operator_of_the_file(tmp_path):
    graph = exported(Branches(lambda m, x: m.convolution(x) * 0.5), tmp_path)
    assert kinds(graph) == [Convolution, Constant, Binary]
    assert count(Branches(lambda m, x: m.convolution(x) * 0.5), random_inputs(IMAGE)).macs == (
        3 * 3 * 3 * 3 * 16 * 20
    )


def test_nothing_is_left_of_adding_zero_and_multiplying_by_one(tmp_path):
    graph = exported(Branches(lambda m, x: m.convolution(x) * 1 + 0.0), tmp_path)
    assert kinds(graph) == [Convolution]


CLIP = (1, 3, 4, 8, 10)


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv3d(3, 6, (1, 3, 3), padding=(0, 1, 1)),),
        (nn.Conv3d(3, 6, (3, 1, 1), padding=(1, 0, 0)),),
        (nn.Conv3d(3, 6, (3, 1, 1), padding=(2, 0, 0), dilation=(2, 1, 1)),),
        (nn.Conv3d(3, 6, (1, 3, 3), (1, 2, 2), (0, 1, 1)), nn.BatchNorm3d(6), nn.ReLU()),
        (nn.Conv3d(3, 6, (3, 1, 1), (2, 1, 1), (1, 0, 0)), nn.BatchNorm3d(6), nn.ReLU6()),
        (nn.Conv3d(3, 3, (1, 3, 3), padding=(0, 1, 1), groups=3), nn.Conv3d(3, 5, 1)),
        (nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),),
        (nn.MaxPool3d((2, 1, 1)),),
        (SameConv3d(3, 6, 3, 2), nn.BatchNorm3d(6)),
        (SameConv3d(3, 6, 1, 2), SameMaxPool3d(4, 4)),
        (SameMaxPool3d(3, 2),),
        (nn.AvgPool3d((1, 2, 2)),),
        (nn.AvgPool3d((3, 1, 1), (1, 1, 1), (1, 0, 0)),),
        (nn.Dropout3d(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 4)),
    ],
    ids=str,
)
def test_clips_are_exported_as_images(layers, tmp_path):
    exported(nn.Sequential(*layers), tmp_path, CLIP)


def test_a_block_of_two_plus_one_dimensions_has_one_convolution_each(tmp_path):
    block = nn.Sequential(
        nn.Conv3d(3, 6, (1, 3, 3), padding=(0, 1, 1), bias=False), nn.BatchNorm3d(6), nn.ReLU(),
        nn.Conv3d(6, 5, (3, 1, 1), padding=(1, 0, 0), bias=False), nn.BatchNorm3d(5), nn.ReLU(),
    )  # fmt: skip
    graph = exported(block, tmp_path, CLIP)
    assert kinds(graph) == [Reshape, Convolution, Reshape, Convolution, Reshape]
    assert [n.operator.fused for n in graph.nodes if isinstance(n.operator, Convolution)] == [
        Fused.RELU,
        Fused.RELU,
    ]


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x.mean((2, 3, 4)),
        lambda x: x.mean(2),
        lambda x: x.mean(2, keepdim=True),
        lambda x: x.mean((3, 4), keepdim=True),
        lambda x: torch.cat([x, x], 1),
        lambda x: torch.cat([x, x], 2)[:, :, 1:5],
        lambda x: x.reshape(x.shape[0], 3, 4, 80),
        lambda x: functional.pad(x[:, :, :, :, 1:], (0, 1, 0, 0)),
        lambda x: functional.pad(x, (1, 2, 3, 4), value=0.5),
    ],
)
def test_functions_of_clips(forward, tmp_path):
    exported(Branches(lambda _, x: forward(x)), tmp_path, CLIP)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv3d(3, 4, 3),
        nn.Conv3d(3, 4, (1, 3, 3), padding="same"),
        nn.MaxPool3d(2),
        nn.BatchNorm3d(3),
    ],
    ids=str,
)
def test_layers_over_pixels_and_frames_at_once_are_refused(layer):
    with pytest.raises(ExportError):
        to_graph(nn.Sequential(layer), random_inputs(CLIP))
