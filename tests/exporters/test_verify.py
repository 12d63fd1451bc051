import numpy as np
import pytest

from exporters.artifact import Precision
from exporters.graph import (
    Convolution,
    Graph,
    Node,
    Pad,
    Padding,
    Pool,
    PoolKind,
    Unary,
    UnaryKind,
)
from exporters.tflite import write
from exporters.verify import (
    Parity,
    channels_last,
    layout_faults,
    layout_operators,
    map_parity,
    parity,
)


def test_the_error_is_a_share_of_the_largest_output():
    reference = {"a": np.array([[1.0, -4.0]]), "b": np.array([0.5])}
    outputs = {"a": np.array([[1.0, -4.0]]), "b": np.array([0.5001])}
    found = parity(outputs, reference)
    assert found.max_error == pytest.approx(2e-4)
    assert not found.passed
    assert parity({"a": reference["a"] + 3e-4}, {"a": reference["a"]}).passed


def test_the_tolerance_is_the_callers():
    outputs, reference = {"a": np.array([1.1])}, {"a": np.array([1.0])}
    assert parity(outputs, reference, tolerance=0.2).passed
    assert not parity(outputs, reference, tolerance=0.05).passed


@pytest.mark.parametrize(
    ("output", "reference"),
    [(np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (np.inf, np.inf), (1e-9, 0.0)],
)
def test_outputs_without_meaning_never_pass(output, reference):
    found = parity({"a": np.array([output, 0.0])}, {"a": np.array([reference, 0.0])})
    assert found == Parity(max_error=float("inf"), tolerance=1e-4)
    assert not found.passed


def test_zeros_equal_zeros():
    assert parity({"a": np.zeros(3)}, {"a": np.zeros(3)}).max_error == 0


LEVELS = {
    "box_codes_p3": np.random.default_rng(0).normal(size=(1, 8, 8, 36)),
    "box_codes_p7": np.full((1, 1, 1, 36), 1e-3),
}


@pytest.mark.parametrize(
    ("spoil", "least", "most"),
    [
        (lambda value: value, 0.0, 0.0),
        (lambda value: value + 0.1, 0.09, 0.11),
        (lambda value: 0 * value, 0.9, 1.1),
        (lambda value: 2 * value, 0.9, 1.1),
        (lambda value: value[..., ::-1], 1.3, 1.5),
        (lambda value: value.swapaxes(1, 2), 1.2, 1.5),
        (lambda value: value / 0 if value.size else value, np.inf, np.inf),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_maps_are_held_against_their_deviation_and_levels_of_a_kind_together(spoil, least, most):
    spoilt = {name: spoil(value) for name, value in LEVELS.items()}
    assert least <= map_parity(spoilt, LEVELS, 0.5).max_error <= most


def test_each_kind_of_maps_is_held_against_its_own():
    scores = {"class_logits_p3": 100 * LEVELS["box_codes_p3"]}
    spoilt = {**LEVELS, "box_codes_p3": 0 * LEVELS["box_codes_p3"], **scores}
    found = map_parity(spoilt, {**LEVELS, **scores}, 0.5)
    assert found.max_error == pytest.approx(1, abs=0.1)
    assert not found.passed


def test_maps_that_are_the_same_everywhere_are_held_against_what_8_bits_tell_apart():
    same = {"output": np.ones((1, 2, 2, 3))}
    assert map_parity(same, same, 0.5).max_error == 0
    assert map_parity({"output": same["output"] + 1 / 256}, same, 0.5).passed
    assert map_parity({"output": 2 * same["output"]}, same, 0.5).max_error == pytest.approx(64)
    nothing = {"output": np.zeros((1, 2, 2, 3))}
    assert map_parity(nothing, nothing, 0.5).max_error == 0
    assert map_parity(same, nothing, 0.5).max_error == np.inf
    with pytest.raises(ValueError, match="outputs are"):
        map_parity({}, same, 0.5)


def test_other_names_or_shapes_are_an_error():
    with pytest.raises(ValueError, match=r"outputs are \['b'\]"):
        parity({"b": np.zeros(3)}, {"a": np.zeros(3)})
    with pytest.raises(ValueError, match=r"shape \(1, 3\), expected \(3,\)"):
        parity({"a": np.zeros((1, 3))}, {"a": np.zeros(3)})


def test_layout_operators_are_found(tmp_path):
    pad = Pad(amounts=((0, 0), (1, 1), (1, 1), (0, 0)))
    nodes = (
        Node(operator=pad, inputs=(0,), output=1, name="pad"),
        Node(operator=Unary(kind=UnaryKind.RELU), inputs=(1,), output=2, name="relu"),
    )
    shapes = ((1, 4, 4, 2), (1, 6, 6, 2), (1, 6, 6, 2))
    graph = Graph(shapes=shapes, nodes=nodes, inputs=(("in", 0),), outputs=(("out", 2),))
    assert layout_operators(write(graph, tmp_path).path) == ("PAD",)


LOWEST = float(np.finfo(np.float32).min)
AROUND = ((0, 0), (1, 1), (1, 1), (0, 0))


def window(kind, padding=Padding.VALID):
    if isinstance(kind, PoolKind):
        return Pool(kind=kind, window=(3, 3), stride=(1, 1), padding=padding)
    return Convolution(
        weights=np.ones((2, 3, 3, 2), np.float32), bias=np.zeros(2, np.float32), stride=(1, 1),
        padding=padding, dilation=(1, 1),
    )  # fmt: skip


def padded(folder, pad, *readers, precision=Precision.FP32):
    """The faults of a file in which each of ``readers`` reads the same padded image."""
    inside = tuple(4 + sum(each) for each in pad.amounts[1:3])
    shapes = [(1, 4, 4, 2), (1 + sum(pad.amounts[0]), *inside, 2 + sum(pad.amounts[3]))]
    nodes = [Node(operator=pad, inputs=(0,), output=1, name="pad")]
    for reader in readers:
        lost = 2 if getattr(reader, "padding", None) is Padding.VALID else 0
        shapes.append((shapes[1][0], *(length - lost for length in inside), shapes[1][3]))
        nodes.append(Node(operator=reader, inputs=(1,), output=len(shapes) - 1, name="reader"))
    outputs = tuple(
        (f"out{number}", number) for number in range(min(2, len(shapes) - 1), len(shapes))
    )
    graph = Graph(shapes=tuple(shapes), nodes=tuple(nodes), inputs=(("in", 0),), outputs=outputs)
    return layout_faults(write(graph, folder, precision).path)


@pytest.mark.parametrize(
    ("readers", "value", "needless"),
    [
        ((window("convolution"),), 0.0, True),
        ((window("convolution"), window("convolution")), 0.0, True),
        ((window("convolution"), Unary(kind=UnaryKind.RELU)), 0.0, False),
        ((window("convolution", Padding.SAME),), 0.0, False),
        ((window("convolution"),), 1.0, False),
        ((window(PoolKind.AVERAGE),), 0.0, False),
        ((window(PoolKind.MAX),), 0.0, False),
        ((window(PoolKind.MAX),), -1.0, False),
        ((window(PoolKind.MAX),), LOWEST, True),
        ((window(PoolKind.MAX, Padding.SAME),), LOWEST, False),
        ((window(PoolKind.MAX), window("convolution")), LOWEST, False),
        ((), 0.0, False),
    ],
)
def test_a_pad_is_needless_where_every_reader_could_pad_so_itself(
    readers, value, needless, tmp_path
):
    found = padded(tmp_path, Pad(amounts=AROUND, value=value), *readers)
    assert len(found) == needless


def test_a_pad_with_the_lowest_int8_number_is_needless_before_a_maximum(tmp_path):
    pad, pool = Pad(amounts=AROUND, value=LOWEST), window(PoolKind.MAX)
    (fault,) = padded(tmp_path, pad, pool, precision=Precision.INT8)
    assert fault == "operator 1 is a PADV2 of (1, 4, 4, 2)"


@pytest.mark.parametrize("axis", [0, 3])
def test_a_pad_of_the_batch_or_of_channels_is_not_needless(axis, tmp_path):
    amounts = tuple((0, 1) if index == axis else each for index, each in enumerate(AROUND))
    assert padded(tmp_path, Pad(amounts=amounts, value=LOWEST), window(PoolKind.MAX)) == ()


@pytest.mark.parametrize("reader", [window(PoolKind.AVERAGE), Unary(kind=UnaryKind.RELU)])
def test_a_pad_that_adds_nothing_is_always_needless(reader, tmp_path):
    assert len(padded(tmp_path, Pad(amounts=((0, 0),) * 4), reader)) == 1


def test_a_file_without_any_has_none(tiny_model):
    assert layout_operators(tiny_model) == ()


def test_images_are_turned_and_others_are_not():
    image = np.arange(24).reshape(1, 2, 3, 4)
    assert channels_last(image).shape == (1, 3, 4, 2)
    assert channels_last(image)[0, 2, 1, 1] == image[0, 1, 2, 1]
    assert channels_last(image[0]) is not None
    assert np.array_equal(channels_last(image[0]), image[0])
