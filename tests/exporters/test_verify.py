import numpy as np
import pytest

from exporters.graph import Graph, Node, Pad, Unary, UnaryKind
from exporters.tflite import write
from exporters.verify import Parity, channels_last, layout_operators, parity


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


def test_a_file_without_any_has_none(tiny_model):
    assert layout_operators(tiny_model) == ()


def test_images_are_turned_and_others_are_not():
    image = np.arange(24).reshape(1, 2, 3, 4)
    assert channels_last(image).shape == (1, 3, 4, 2)
    assert channels_last(image)[0, 2, 1, 1] == image[0, 1, 2, 1]
    assert channels_last(image[0]) is not None
    assert np.array_equal(channels_last(image[0]), image[0])
