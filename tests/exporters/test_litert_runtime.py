import numpy as np
import pytest

from exporters.graph import Dense, Graph, Mean, Node, Pad, Unary, UnaryKind
from exporters.litert_runtime import LiteRtModel
from exporters.tflite import write
from workspace.errors import InputError


def chain(folder, *operators, shapes):
    """A file of operators one after another, made without torch."""
    nodes = tuple(
        Node(operator=operator, inputs=(i,), output=i + 1, name=f"node_{i}")
        for i, operator in enumerate(operators)
    )
    graph = Graph(
        shapes=shapes, nodes=nodes, inputs=(("in", 0),), outputs=(("out", len(operators)),)
    )
    return write(graph, folder).path


def test_a_file_without_signature_is_run_by_tensor_names(tiny_model):
    model = LiteRtModel(tiny_model)
    zeros, ones = np.zeros((1, 128), np.float32), np.ones((1, 128), np.float32)
    bias, total = model.run({"in": zeros})["out"], model.run({"in": ones})["out"]
    assert bias.shape == (1, 128)
    assert not np.array_equal(bias, total)


def test_a_file_is_run_by_the_names_of_its_signature(tmp_path):
    weights = np.arange(6, dtype=np.float32).reshape(2, 3)
    dense = Dense(weights=weights, bias=np.array([1, 2], np.float32))
    model = LiteRtModel(chain(tmp_path, dense, shapes=((1, 3), (1, 2))), threads=2)
    (out,) = model.run({"in": np.array([[1, 1, 2]], np.float32)}).values()
    assert out.tolist() == [[0 + 1 + 4 + 1, 3 + 4 + 10 + 2]]
    assert (model.inputs[0].name, model.inputs[0].shape) == ("in", (1, 3))


def test_results_stay_when_it_is_run_again(tiny_model):
    model = LiteRtModel(tiny_model)
    first = model.run({"in": np.ones((1, 128), np.float32)})["out"]
    kept = first.copy()
    model.run({"in": np.zeros((1, 128), np.float32)})
    assert np.array_equal(first, kept)


@pytest.mark.parametrize(
    "feeds",
    [
        {},
        {"image": np.zeros((1, 128), np.float32)},
        {"in": np.zeros((1, 128), np.float32), "more": np.zeros(1, np.float32)},
        {"in": np.zeros((1, 127), np.float32)},
        {"in": np.zeros((1, 128), np.float64)},
    ],
)
def test_inputs_that_do_not_fit_are_an_error(feeds, tiny_model):
    with pytest.raises(ValueError, match=r"input|tensor"):
        LiteRtModel(tiny_model).run(feeds)


def test_a_file_that_the_runtime_does_not_take_is_an_input_error(tmp_path):
    path = tmp_path / "no.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    with pytest.raises(InputError, match=r"no\.tflite"):
        LiteRtModel(path)


def test_delegated_says_whether_xnnpack_runs_all(tmp_path):
    mean, relu = Mean(axes=(1, 2), keep=False), Unary(kind=UnaryKind.RELU)
    around = ((0, 0), (1, 1), (1, 1), (0, 0))
    lowest = Pad(amounts=around, value=float(np.finfo(np.float32).min))
    whole = chain(tmp_path, relu, mean, shapes=((1, 4, 4, 2), (1, 4, 4, 2), (1, 2)))
    assert LiteRtModel(whole).delegated
    part = chain(tmp_path, lowest, relu, shapes=((1, 4, 4, 2), (1, 6, 6, 2), (1, 6, 6, 2)))
    assert not LiteRtModel(part).delegated
