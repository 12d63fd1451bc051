"""The model card, which is a bundle's README: what it is, how good, how fast, how to use it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from delivery.export import Delivery
from delivery.gates import Gate
from exporters.artifact import ModelFormat
from latency.source import LatencyEstimate
from search_space.architecture import Detector

if TYPE_CHECKING:
    from delivery.network import Network
    from delivery.timing import Timed

PACKAGES = {
    ModelFormat.TFLITE: "ai-edge-litert>=2.1",
    ModelFormat.ONNX: "onnxruntime>=1.18",
}
"""What runs files of a format; TensorFlow for SavedModels is not asked of everybody."""

_NAMES = {kind: package.partition(">")[0] for kind, package in PACKAGES.items()}


def requirements(formats: Sequence[ModelFormat]) -> tuple[str, ...]:
    """What checking and running a bundle's models needs, as pip takes it."""
    found = [PACKAGES[each] for each in dict.fromkeys(formats) if each in PACKAGES]
    return ("numpy>=1.26", *found)


def card(
    delivery: Delivery,
    *,
    made: str,
    tool: str,
    preprocessing: str,
    are_labels_known: bool,
    snippets: Sequence[str],
) -> str:
    """Markdown.

    Args:
        delivery: What is in the bundle, its files at their places there.
        made: When, ISO 8601.
        tool: By which program.
        preprocessing: In words.
        are_labels_known: Whether the classes have names.
        snippets: Names of the programs in ``snippets``.
    """
    network = delivery.network
    parts = [
        f"# {network.name}",
        *_what(delivery, made, tool),
        "## Models",
        "\n".join(_models(delivery)),
        "## Use",
        *_use(delivery, preprocessing, snippets, are_labels_known=are_labels_known),
        "## Check",
        *_check(delivery),
        "## Latency",
        *_latency(delivery.timed),
        "## Gates",
        "\n".join(_gates(delivery)),
        "## How it was found",
        "\n".join(_found(network)),
        "## What it is not",
        *_limits(delivery),
    ]
    return "\n\n".join(parts) + "\n"


def _is_detector(delivery: Delivery) -> bool:
    return isinstance(delivery.network.head, Detector)


def _what(delivery: Delivery, made: str, tool: str) -> Iterator[str]:
    network = delivery.network
    kind, classes = type(network.head).__name__.lower(), network.head.classes
    learnt = "no dataset is known" if network.task is None else f"dataset {network.task.name}"
    yield (
        f"A {kind} of {classes} classes ({learnt}), made {made} by {tool}. "
        f"{delivery.weight.macs:,} multiply-adds, {delivery.weight.numbers:,} weights. "
        f"Weights {network.weights}."
    )
    yield f"`architecture.json` says what it is: `{network.architecture.key}`."


def _models(delivery: Delivery) -> Iterator[str]:
    metric = "AP" if _is_detector(delivery) else "accuracy"
    yield f"| file | precision | bytes | test {metric} | written by |"
    yield "| --- | --- | --- | --- | --- |"
    for each in delivery.files:
        artifact = each.artifact
        accuracy = delivery.accuracy_of(artifact.path.name)
        shown = "not measured" if accuracy is None else f"{accuracy:.2%}"
        note = f" ({each.note})" if each.note else ""
        yield (
            f"| `models/{artifact.path.name}` | {artifact.precision} | "
            f"{delivery.bytes_of(each):,} | {shown} | {artifact.tool}{note} |"
        )
    if delivery.accuracy_of_torch is not None and delivery.network.task is not None:
        yield ""
        what = "AP (of IoU .50 to .95 and all classes) is" if metric == "AP" else "Accuracies are"
        yield (
            f"{what} of the files in their runtimes on the whole test split of "
            f"{delivery.network.task.name}; torch gives {delivery.accuracy_of_torch:.2%}."
        )


def _use(
    delivery: Delivery, preprocessing: str, snippets: Sequence[str], *, are_labels_known: bool
) -> Iterator[str]:
    first = delivery.files[0].artifact
    inputs = "; ".join(f"`{each.name}` {list(each.shape)} {each.dtype}" for each in first.inputs)
    yield (
        f"Input of `{first.path.name}`: {inputs}. {preprocessing} `preprocessing.json` has it as "
        "data."
    )
    yield (
        "TFLite files and SavedModels take channels last (`[1, H, W, C]`), ONNX files first "
        "(`[1, C, H, W]`)."
    )
    named = "`labels.txt` names them" if are_labels_known else "nobody has named them"
    if _is_detector(delivery):
        names = ", ".join(f"`{each.name}`" for each in first.outputs)
        yield (
            "Outputs: for each of five levels, logits of each class and steps from anchors to "
            f"boxes, {names}. `detection.json` has the anchors and says what the numbers mean; "
            "overlapping boxes are thinned out outside of the network. Classes are in order; "
            f"{named}."
        )
    else:
        yield (
            f"Output: one score for each class, in order; {named}. A softmax makes probabilities."
        )
    ends = (*first.inputs, *first.outputs)
    if any(each.dtype == "int8" for each in ends):
        yield (
            "An int8 number stands for `scale * (number - zero_point)`; `manifest.json` has scale "
            "and zero point of each input and output, and so has the file."
        )
    for name in sorted({"classify.py", "detect.py"} & {*snippets}):
        kinds = {each.artifact.format: None for each in delivery.files}
        runtimes = " or ".join(f"`{_NAMES[each]}`" for each in kinds if each in _NAMES)
        yield f"`snippets/{name} PICTURE` runs a model with `numpy` and {runtimes}."
    for name in sorted({"Classifier.kt", "Detector.kt"} & {*snippets}):
        yield f"`snippets/{name}` is the same for Android."
    yield (
        "`network.py` is the network in torch, and needs torch alone: `load()` gives it with "
        "`weights.safetensors`, for further training, too."
    )


def _check(delivery: Delivery) -> Iterator[str]:
    wanted = requirements([each.artifact.format for each in delivery.files])
    yield f"`requirements.txt` names {', '.join(f'`{each}`' for each in wanted)}."
    yield "```sh\npip install -r requirements.txt\npython verify.py\n```"
    yield (
        "This compares every byte with its hash (`manifest.json` and `SHA256SUMS`), and the "
        "outputs of every model with those kept in `examples.npz`; "
        f"{'what `snippets/detect.py` finds in them too; ' if _is_detector(delivery) else ''}"
        "`network.py` too where torch is installed. `pocketnas verify` does the same and runs the "
        "gates again. Hashes show damage, not who made a bundle: run code of bundles that you "
        "trust."
    )


def _latency(timed: Sequence[Timed]) -> Iterator[str]:
    if not timed:
        yield "Not measured: no device was chosen."
        return
    rows = [
        "| file | on | median ms | 95 % interval | verdict |",
        "| --- | --- | --- | --- | --- |",
    ]
    notes: dict[str, None] = {}
    for each in timed:
        name, found = each.artifact.path.name, each.answer
        if not isinstance(found, LatencyEstimate):
            rows.append(f"| `{name}` | {each.on} | - | {found.text} | failed |")
            continue
        rows.append(
            f"| `{name}` | {found.source} | {found.latency_ms:.4g} | {found.low_ms:.4g} to "
            f"{found.high_ms:.4g} | {found.verdict} |"
        )
        notes |= dict.fromkeys(_conditions(found))
    yield "\n".join(rows)
    yield "\n".join(
        ["Of these very files; `latencies.json` has every condition and session.", *notes]
    )


def _conditions(found: LatencyEstimate) -> Iterator[str]:
    if found.measurement is None:
        return
    setup = found.measurement.conditions.setup
    stand_ins = [text for text in (setup.info.stand_in, setup.runner.stand_in) if text]
    said = f"; stand-in: {'; '.join(stand_ins)}" if stand_ins else ""
    yield (
        f"- {found.source}: {setup.info.model}, {setup.runner.name} {setup.runner.version}, "
        f"{setup.threads} threads, {setup.delegate}{said}"
    )


def _gates(delivery: Delivery) -> Iterator[str]:
    for each in delivery.checked:
        if isinstance(each, Gate):
            mark = "passed" if each.passed else "WARNING, did not pass"
            yield f"- `{each.file}` {each.name}: {mark}: {each.text}"
        else:
            yield f"- `{each.file}` {each.name}: not run: {each.why}"


def _found(network: Network) -> Iterator[str]:
    if not network.found:
        yield "By nobody's search: it is a network of the catalog or of a file."
    for name, value in network.found.items():
        if isinstance(value, dict):
            text = ", ".join(f"{key} {each}" for key, each in value.items())
        else:
            text = str(value)
        if text:
            yield f"- {name.replace('_', ' ')}: {text}"


def _limits(delivery: Delivery) -> Iterator[str]:
    if delivery.accuracy_of_torch is None:
        yield "Nothing is known of its accuracy: its files were checked against torch alone."
    else:
        yield (
            "Its accuracy holds for pictures like those of its dataset, prepared in the same "
            "way; of others nothing is known."
        )
    yield (
        "Latencies hold for the devices and conditions named with them. Those of a computer say "
        "nothing about a phone."
    )
