"""A disk that fills leaves no file under a final name, whoever writes."""

import importlib.util
import json
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("torch")

PROGRAM = """
    import json, resource, sys, warnings
    from pathlib import Path

    import numpy as np
    from exporters.exporter import NotWrittenError, create
    from exporters.quantize import Quantization, quantize
    from exporters.testing import random_inputs
    from search_space import catalog
    from search_space.architecture import Classifier

    warnings.simplefilter("ignore")
    name, folder, limit = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    module = catalog.create("mobilenet-v2@0.35").at(32).build(Classifier(classes=10))
    inputs = random_inputs((1, 3, 32, 32))

    def quantized():
        made = create(name.removeprefix("int8 of ")).export(module, inputs, folder)
        zeros = {spec.name: np.zeros(spec.shape, np.float32) for spec in made.inputs}
        yield made.path
        yield quantize(made, Quantization.INT8, folder, calibration=[zeros] * 16).path

    def exported():
        yield folder
        yield create(name).export(module, inputs, folder).path

    making = quantized() if name.startswith("int8 of ") else exported()
    next(making)
    before = sorted(folder.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        said = f"written: {next(making)}"
    except NotWrittenError as error:
        said = f"refused: {error}"
    left = [path.name for path in sorted(folder.iterdir()) if path not in before]
    print(json.dumps({"said": said, "left": left}))
"""

WRITERS = {
    "tflite": "torch",
    "onnx": "onnxscript",
    "litert": "litert_torch",
    "savedmodel": "tensorflow",
    "tensorflow": "tensorflow",
    "int8 of tflite": "ai_edge_quantizer",
    "int8 of onnx": "onnxscript",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_fills_in_mid_write_leaves_nothing_under_a_final_name(name, tmp_path):
    """A real refusal of the system's: no file of the process, or of its child, may pass 64 KiB."""
    if importlib.util.find_spec(WRITERS[name]) is None:
        pytest.skip(f"{WRITERS[name]} is not installed")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), name, str(tmp_path), str(64 * 1024)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["said"].startswith("refused: "), found
    assert "\n" not in found["said"]
    assert found["left"] == []
