import subprocess
import sys

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from exporters import tflite_file
from exporters.artifact import ModelFormat, Precision, TensorSpec
from workspace.errors import InputError
from workspace.files import sha256_of


def rewritten(path, target, change):
    """The model at ``path`` after ``change`` to its objects, at ``target``."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), tflite_file.IDENTIFIER)
    target.write_bytes(bytes(builder.Output()))
    return target


def test_a_file_is_read_as_an_artifact(tiny_model):
    artifact = tflite_file.read(tiny_model)
    assert artifact.path == tiny_model
    assert artifact.format is ModelFormat.TFLITE
    assert artifact.sha256 == sha256_of(tiny_model)
    assert artifact.precision is Precision.FP32
    assert artifact.inputs == (TensorSpec(name="in", shape=(1, 128), dtype="float32"),)
    assert artifact.outputs == (TensorSpec(name="out", shape=(1, 128), dtype="float32"),)
    assert artifact.tool == "one fully connected layer"


def test_operators_are_named_in_order(tiny_model, tmp_path):
    def add_logistic(model):
        (graph,) = model.subgraphs
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.LOGISTIC
        operator.opcodeIndex, operator.inputs, operator.outputs = 1, [3], [0]
        model.operatorCodes.append(code)
        graph.operators.append(operator)

    changed = rewritten(tiny_model, tmp_path / "two.tflite", add_logistic)
    assert tflite_file.operators(tiny_model) == ("FULLY_CONNECTED",)
    assert tflite_file.operators(changed) == ("FULLY_CONNECTED", "LOGISTIC")


def test_operator_codes_of_old_files_are_understood(tiny_model, tmp_path):
    def as_before_schema_3a(model):
        model.operatorCodes[0].builtinCode = 0

    old = rewritten(tiny_model, tmp_path / "old.tflite", as_before_schema_3a)
    assert tflite_file.operators(old) == ("FULLY_CONNECTED",)


def test_operator_codes_beyond_the_old_field_are_understood(tiny_model, tmp_path):
    def as_gelu(model):
        model.operatorCodes[0].builtinCode = schema.BuiltinOperator.GELU
        model.operatorCodes[0].deprecatedBuiltinCode = 127

    new = rewritten(tiny_model, tmp_path / "new.tflite", as_gelu)
    assert tflite_file.operators(new) == ("GELU",)


def precision_of(path, target, kinds, bytes_each):
    """What a file is read as whose tensors, by number, have other types."""

    def retype(model):
        for number, kind in kinds.items():
            model.subgraphs[0].tensors[number].type = getattr(schema.TensorType, kind)
        model.buffers[1].data = model.buffers[1].data[: bytes_each * 128 * 128]

    changed = rewritten(path, target, retype)
    model = schema.ModelT.InitFromPackedBuf(changed.read_bytes(), 0)
    return tflite_file._precision(schema, model)


def test_precision_is_that_of_most_weights(tiny_model, tmp_path):
    found = precision_of(tiny_model, tmp_path / "half.tflite", {1: "FLOAT16"}, 2)
    assert found is Precision.FP16


@pytest.mark.parametrize(
    ("kinds", "precision"),
    [
        ({1: "INT8", 0: "INT8", 3: "INT8"}, Precision.INT8),
        ({1: "UINT8", 0: "UINT8", 3: "UINT8"}, Precision.INT8),
        ({1: "INT8"}, Precision.DYNAMIC),
    ],
)
def test_int8_weights_between_float_activations_are_dynamic(
    kinds, precision, tiny_model, tmp_path
):
    assert precision_of(tiny_model, tmp_path / "typed.tflite", kinds, 1) is precision


@pytest.mark.parametrize("operation", [tflite_file.read, tflite_file.operators])
@pytest.mark.parametrize("share", [0.0, 0.0001, 0.001, 0.01, 0.5, 0.99, 0.9999])
def test_a_file_that_ends_too_soon_is_refused(operation, share, tiny_model, tmp_path):
    whole = tiny_model.read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"cut\.tflite' is no"):
        operation(cut)


@pytest.mark.parametrize("operation", [tflite_file.read, tflite_file.operators])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"PK\x03\x04 a zip file", "TFL3 at byte 4"),
        (b"\x1c\0\0\0ORTM" + bytes(100), "TFL3 at byte 4"),
        (b"\x1c\0\0\0TFL3" + bytes(4000), "no"),
        (b"\x1c\0\0\0TFL3" + b"\x99" * 4000, "no"),
    ],
)
def test_what_is_no_tflite_file_is_refused(operation, content, said, tmp_path):
    path = tmp_path / "other.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"other\.bin") as raised:
        operation(path)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("operation", [tflite_file.read, tflite_file.operators])
def test_a_folder_or_missing_file_is_refused(operation, tmp_path):
    with pytest.raises(InputError, match="Is a directory"):
        operation(tmp_path)
    with pytest.raises(InputError, match="No such file"):
        operation(tmp_path / "missing.tflite")


def test_reading_a_file_imports_no_torch(tiny_model):
    program = (
        "import sys; from pathlib import Path; from exporters import tflite_file, verify;"
        "print(tflite_file.read(Path(sys.argv[1])).sha256, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tiny_model)],
        check=True, stdout=subprocess.PIPE, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == [sha256_of(tiny_model), "False"]
