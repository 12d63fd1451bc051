"""Checks that this bundle is what it was: every byte, and what its models compute.

    pip install -r requirements.txt
    python verify.py

Hashes need Python alone. The models are run on the kept examples in their runtimes, network.py in
torch and a detector's snippets/detect.py, each in a process of its own, where those are installed;
what is not installed is said. Exit code 0 if all that was checked is well, 1 if anything is not.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
NETWORK, DETECT = "network.py", "snippets/detect.py"
IGNORED = "__pycache__"
DETECTED = ("detections", "picture", "pictured")
TORCH_TOLERANCE = 1e-4
SCORE_TOLERANCE, BOX_TOLERANCE = 0.005, 0.005
SPARED = 0.05
DEADLINE_S = 1800.0


def main(arguments: list[str]) -> int:
    """Check the bundle that this file lies in, or the one that is named; the exit code."""
    if arguments[:1] in (["--network"], ["--detections"]):
        apart = check_network if arguments[0] == "--network" else check_detections
        print(json.dumps(apart(Path(arguments[1]))))
        return 0
    named = [each for each in arguments if each != "--json"]
    report = check(Path(named[0]) if named else Path(__file__).resolve().parent)
    if "--json" in arguments:
        print(json.dumps(report, indent=1))
    else:
        for entry in report["checks"]:
            print("ok    " if entry["passed"] else "FAILED", entry["file"], entry["text"])
        for entry in report["not_run"]:
            print("not checked:", entry["file"], entry["why"])
    return 0 if report["passed"] else 1


def check(bundle: Path) -> dict[str, Any]:
    """All checks; nothing of the bundle is run or loaded if a byte of it has changed."""
    changed = changes(bundle)
    checks = [{"file": name, "passed": False, "text": text} for name, text in changed.items()]
    not_run: list[dict[str, str]] = []
    if not changed:
        files = json.loads((bundle / MANIFEST).read_bytes())["files"]
        text = f"{len(files) + 2} files have their hashes"
        checks.append({"file": SUMS, "passed": True, "text": text})
        _check_outputs(bundle, checks, not_run)
    passed = all(entry["passed"] for entry in checks)
    return {
        "bundle": bundle.name,
        "passed": passed,
        "is_unchanged": not changed,
        "checks": checks,
        "not_run": not_run,
    }


def changes(bundle: Path) -> dict[str, str]:
    """Files that are not what they were, and what is wrong; two lists of hashes are compared."""
    try:
        sums = _sums(bundle / SUMS)
    except (OSError, ValueError) as error:
        return {SUMS: f"cannot be read: {error}"}
    try:
        document = json.loads((bundle / MANIFEST).read_bytes())
        kept = {str(name): str(entry["sha256"]) for name, entry in document["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return {MANIFEST: f"cannot be read: {error}"}
    found = {
        path.relative_to(bundle).as_posix(): path
        for path in sorted(bundle.rglob("*"))
        if not path.is_dir() and IGNORED not in path.parts
    }
    wrong: dict[str, str] = {}
    for name in sorted({*kept, *sums, MANIFEST}):
        if not _is_inside(name):
            wrong[name] = "is no name of a file in a bundle"
        elif name not in found:
            wrong[name] = "is missing"
        else:
            try:
                digest = _digest(found[name])
            except OSError as error:
                wrong[name] = f"cannot be read: {error.strerror}"
            else:
                _compare(name, digest, kept.get(name), sums.get(name), wrong)
    for name in found:
        if name not in kept and name not in (MANIFEST, SUMS) and name not in wrong:
            wrong[name] = "is in no list of the bundle's files"
    return wrong


def _compare(
    name: str, digest: str, kept: str | None, summed: str | None, wrong: dict[str, str]
) -> None:
    """Say which of three is wrong: the file, or one of the two lists."""
    if name == MANIFEST:
        if digest != summed:
            wrong[name] = "has changed: its SHA-256 is another"
    elif kept == summed:
        if digest != kept:
            wrong[name] = "has changed: its SHA-256 is another"
    elif digest == kept:
        wrong[SUMS] = f"has changed: it has another hash for {name}"
    elif digest == summed:
        wrong[MANIFEST] = f"has changed: it has another hash for {name}"
    else:
        wrong[name] = f"has changed, and {MANIFEST} and {SUMS} differ"


def _sums(path: Path) -> dict[str, str]:
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        digest, separator, name = line.partition("  ")
        if not separator or len(digest) != 64:
            msg = f"no line of hash and name: {line!r}"
            raise ValueError(msg)
        found[name] = digest
    return found


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _check_outputs(
    bundle: Path, checks: list[dict[str, Any]], not_run: list[dict[str, str]]
) -> None:
    manifest = json.loads((bundle / MANIFEST).read_bytes())
    if importlib.util.find_spec("numpy") is None:
        not_run.append({"file": "models", "why": "numpy is not installed"})
        return
    try:
        inputs, outputs = _examples(bundle, manifest)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a file is said of the file
        checks.append(_failed(manifest["examples"]["file"], error))
        return
    for model in manifest["models"]:
        file = model["file"]
        try:
            made = run_model(bundle, model, inputs)
            compare = _deviating if model.get("measure") == "deviation" else _compared
            found = compare(file, made, outputs, model["tolerance"], model["format"])
        except ModuleNotFoundError as error:
            not_run.append({"file": file, "why": f"{error.name} is not installed"})
        except Exception as error:  # noqa: BLE001 - what runtimes raise has no common parent
            checks.append(_failed(file, error))
        else:
            checks.append(found)
    for argument, file in (("--network", NETWORK), ("--detections", DETECT)):
        if (bundle / file).is_file():
            answer = _apart(bundle, argument, file)
            (not_run if "why" in answer else checks).append(answer)


def _failed(file: str, error: Exception) -> dict[str, Any]:
    said = " ".join(str(error).split())[:300]
    text = f"cannot be run: {type(error).__name__}: {said}"
    return {"file": file, "passed": False, "text": text}


def _examples(bundle: Path, manifest: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and outputs `[N, …]` by name, as they were kept."""
    import numpy

    with numpy.load(bundle / manifest["examples"]["file"], allow_pickle=False) as kept:
        arrays = dict(kept)
    inputs = {k.partition(":")[2]: v for k, v in arrays.items() if k.startswith("input:")}
    outputs = {k.partition(":")[2]: v for k, v in arrays.items() if k.startswith("output:")}
    return inputs, outputs


def _apart(bundle: Path, argument: str, file: str) -> dict[str, Any]:
    """A check in a process of its own: torch and TensorFlow may not share one."""
    with tempfile.TemporaryDirectory() as folder:  # compiled files in a bundle are not read
        isolated = ["-I"] if sys.flags.isolated else []
        program = [sys.executable, *isolated, "-X", f"pycache_prefix={folder}", __file__]
        try:
            done = subprocess.run(
                [*program, argument, str(bundle.absolute())],
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
                check=False,
            )
            answer: dict[str, Any] = json.loads(done.stdout)
        except (OSError, subprocess.TimeoutExpired) as error:
            return _failed(file, error)
        except ValueError:
            said = " ".join(done.stderr.split())[-300:]
            text = f"cannot be run: its process ended with {done.returncode}: {said}"
            return {"file": file, "passed": False, "text": text}
    return answer


def check_network(bundle: Path) -> dict[str, Any]:
    """What network.py computes against what was kept, or why that cannot be said."""
    manifest = json.loads((bundle / MANIFEST).read_bytes())
    try:
        inputs, outputs = _examples(bundle, manifest)
        with contextlib.redirect_stdout(sys.stderr):  # the answer alone goes out
            made = run_network(bundle, inputs, list(outputs))
        return _compared(NETWORK, made, outputs, TORCH_TOLERANCE, "torch")
    except ModuleNotFoundError as error:
        return {"file": NETWORK, "why": f"{error.name} is not installed"}
    except Exception as error:  # noqa: BLE001 - a network's code may raise anything
        return _failed(NETWORK, error)


def check_detections(bundle: Path) -> dict[str, Any]:
    """What snippets/detect.py finds against what was kept, or why that cannot be said.

    It is given the kept outputs of every example, then the kept picture and an fp32 model.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):  # the answer alone goes out
            return _detected(bundle, json.loads((bundle / MANIFEST).read_bytes()))
    except ModuleNotFoundError as error:
        return {"file": DETECT, "why": f"{error.name} is not installed"}
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the program is said of it
        return _failed(DETECT, error)


def _detected(bundle: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    import numpy

    sys.path.insert(0, str(bundle / "snippets"))
    detect = importlib.import_module("detect")
    settings = json.loads((bundle / "detection.json").read_bytes())
    with numpy.load(bundle / manifest["examples"]["file"], allow_pickle=False) as kept:
        wanted, picture, pictured = (kept[name] for name in DETECTED)
    _, outputs = _examples(bundle, manifest)
    pairs = []
    for index, boxes in enumerate(wanted):
        one = {name: channels_last(value[index : index + 1]) for name, value in outputs.items()}
        pairs.append((detect.decoded(one, settings), boxes))
    spared, text = 0, f"boxes in {len(pairs)} examples"
    models = (each for each in manifest["models"] if each["format"] in ("tflite", "onnx"))
    model = next((each["file"] for each in models if each["precision"] == "fp32"), None)
    if model is not None:
        found = detect.detect(bundle / model, picture)
        pairs.append((found, wanted[int(pictured)]))
        spared = int(SPARED * len(found))
        text += f" and, by {model}, in the picture of one"
    count = sum(int((boxes[:, 5] >= 0).sum()) for _, boxes in pairs)
    lost = sum(unlike(found, boxes, settings) for found, boxes in pairs)
    return {
        "file": DETECT,
        "passed": lost <= spared,
        "text": f"{count} {text} were kept, {lost} are found otherwise",
    }


def unlike(found: Any, wanted: Any, settings: Any) -> int:  # noqa: ANN401 - as above
    """How many boxes `[D, 6]` of either side the other does not have.

    Those count whose score is clearly among those that are told.
    """
    lost, near = 0, BOX_TOLERANCE * settings["size"]
    for some, others in ((found, wanted), (wanted, found)):
        others = others[others[:, 5] >= 0]
        is_full = len(others) == settings["count"]
        floor = others[:, 4].min() if is_full else settings["least_score"]
        for box in some[(some[:, 5] >= 0) & (some[:, 4] > floor + SCORE_TOLERANCE)]:
            is_like = (
                (others[:, 5] == box[5])
                & (abs(others[:, 4] - box[4]) <= SCORE_TOLERANCE)
                & (abs(others[:, :4] - box[:4]) <= near).all(1)
            )
            lost += not is_like.any()
    return lost


def _compared(
    file: str, made: dict[str, Any], wanted: dict[str, Any], tolerance: float, kind: str
) -> dict[str, Any]:
    """Outputs by name, `[N, …]` each, against torch's, as a share of the largest."""
    import numpy

    expected = _expected(wanted, kind)
    missing = _missing(file, made, expected)
    if missing:
        return missing
    error = 0.0
    for name, value in expected.items():
        largest = float(abs(value).max()) or 1.0
        difference = abs(made[name].astype(numpy.float64) - value).max()
        error = max(error, float(difference) / largest)
    text = f"outputs differ from those kept by {error:.2g} of the largest, at most {tolerance:g}"
    return {"file": file, "passed": error <= tolerance, "text": text, "max_error": error}


def _deviating(
    file: str, made: dict[str, Any], wanted: dict[str, Any], tolerance: float, kind: str
) -> dict[str, Any]:
    """Likewise of maps in numbers of 8 bits: by root mean squares, levels of a kind together."""
    import numpy

    expected = _expected(wanted, kind)
    missing = _missing(file, made, expected)
    if missing:
        return missing
    error = 0.0
    for start in {re.sub(r"_p\d+$", "", name) for name in wanted}:
        names = [name for name in wanted if re.sub(r"_p\d+$", "", name) == start]
        ours, theirs = (
            numpy.concatenate([each[name].astype(numpy.float64).ravel() for name in names])
            for each in (made, expected)
        )
        difference = float(numpy.sqrt(((ours - theirs) ** 2).mean()))
        spread = max(float(theirs.std()), float(abs(theirs).max()) / 64)
        error = max(error, difference / (spread or 1.0))
    text = (
        f"outputs differ from those kept by {error:.2g} of their deviation, at most {tolerance:g}"
    )
    return {"file": file, "passed": error <= tolerance, "text": text, "max_error": error}


def _expected(wanted: dict[str, Any], kind: str) -> dict[str, Any]:
    """Torch's outputs in the layout of a kind of file."""
    if kind in ("onnx", "torch"):
        return wanted
    return {name: channels_last(value) for name, value in wanted.items()}


def _missing(file: str, made: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any] | None:
    """What is said of outputs that are not there as they should be."""
    import numpy

    for name, value in expected.items():
        found = made.get(name)
        if found is None or found.shape != value.shape or not numpy.isfinite(found).all():
            text = f"has no whole output {name!r} of shape {list(value.shape)}"
            return {"file": file, "passed": False, "text": text}
    return None


def run_model(bundle: Path, model: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """Outputs `[N, …]` by name of one model of the manifest, run on one example after another."""
    import numpy

    path = bundle / model["file"]
    kind = model["format"]
    run = {"tflite": _litert, "onnx": _onnx, "savedmodel": _tensorflow}[kind](path, model)
    laid_out = {
        name: value if kind == "onnx" else channels_last(value) for name, value in inputs.items()
    }
    made = []
    for index in range(len(next(iter(laid_out.values())))):
        feed = {
            name: numpy.ascontiguousarray(value[index : index + 1])
            for name, value in laid_out.items()
        }
        made.append(run(feed))
    return {name: numpy.concatenate([each[name] for each in made]) for name in made[0]}


def channels_last(value: Any) -> Any:  # noqa: ANN401 - numpy may be missing
    """`[N, C, H, W]` as `[N, H, W, C]`; others as they are."""
    import numpy

    return numpy.ascontiguousarray(numpy.moveaxis(value, 1, -1)) if value.ndim >= 4 else value


def _litert(path: Path, model: dict[str, Any]) -> Any:  # noqa: ANN401 - a function
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    if interpreter.get_signature_list():
        runner = interpreter.get_signature_runner()
        given, made = runner.get_input_details(), runner.get_output_details()

        def call(feed: dict[str, Any]) -> dict[str, Any]:
            found = runner(**{name: _rounded(value, given[name]) for name, value in feed.items()})
            return {name: _restored(value, made[name]) for name, value in found.items()}

        return call

    def run(feed: dict[str, Any]) -> dict[str, Any]:
        for spec, details in zip(model["inputs"], interpreter.get_input_details(), strict=True):
            interpreter.set_tensor(details["index"], _rounded(feed[spec["name"]], details))
        interpreter.invoke()
        found = interpreter.get_output_details()
        return {
            spec["name"]: _restored(interpreter.get_tensor(details["index"]), details)
            for spec, details in zip(model["outputs"], found, strict=True)
        }

    return run


def _rounded(value: Any, details: dict[str, Any]) -> Any:  # noqa: ANN401 - numpy may be missing
    """As an input takes it: numbers of 8 bits where it is int8."""
    import numpy

    if details["dtype"] != numpy.int8:
        return value
    scale, zero_point = details["quantization"]
    return numpy.clip(numpy.rint(value / scale) + zero_point, -128, 127).astype(numpy.int8)


def _restored(value: Any, details: dict[str, Any]) -> Any:  # noqa: ANN401 - numpy may be missing
    """What the numbers of an output stand for, as a copy."""
    import numpy

    if details["dtype"] != numpy.int8:
        return value.copy()
    scale, zero_point = details["quantization"]
    return (value.astype(numpy.float32) - zero_point) * numpy.float32(scale)


def _onnx(path: Path, model: dict[str, Any]) -> Any:  # noqa: ANN401 - a function
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [spec["name"] for spec in model["outputs"]]
    return lambda feed: dict(zip(names, session.run(names, feed), strict=True))


def _tensorflow(path: Path, model: dict[str, Any]) -> Any:  # noqa: ANN401, ARG001 - a function
    import tensorflow

    loaded = tensorflow.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]

    def run(feed: dict[str, Any]) -> dict[str, Any]:
        values = {name: tensorflow.constant(value) for name, value in feed.items()}
        return {name: value.numpy() for name, value in serve(**values).items()}

    run.keep = loaded  # type: ignore[attr-defined] # else its variables go
    return run


def run_network(bundle: Path, inputs: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Outputs `[N, …]` by name of network.py."""
    import torch

    spec = importlib.util.spec_from_file_location("bundled_network", bundle / NETWORK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.load()
    with torch.no_grad():
        made = network(*(torch.from_numpy(value) for value in inputs.values()))
    if isinstance(made, dict):
        return {name: value.numpy() for name, value in made.items()}
    values = made if isinstance(made, (tuple, list)) else (made,)
    return {name: value.numpy() for name, value in zip(names, values, strict=True)}


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main(sys.argv[1:]))
