"""Finds things in a picture with one of the models of this bundle.

    pip install -r requirements.txt
    python snippets/detect.py PICTURE [MODEL]

PICTURE is a binary PGM or PPM file, or a NumPy file of `[H, W]` or `[H, W, 3]` uint8; where Pillow
is installed, any that it reads. MODEL is one of the .tflite or .onnx files in models/; the first
one where it is left out. A line for each thing: score, label, then left, top, right and bottom in
pixels of the picture.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from delivery.carried.pictures import BUNDLE, prepare, read_picture, settings_of, sides
from delivery.carried.runtimes import first_model, run


def main(arguments: list[str]) -> int:
    """Print what is found, the best first; the exit code."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    model = Path(arguments[1]) if len(arguments) > 1 else first_model()
    labels = (BUNDLE / "labels.txt").read_text(encoding="utf-8").splitlines()
    for *box, score, label in detect(model, read_picture(Path(arguments[0]))):
        print(f"{score:.4f}  {labels[int(label)]}  {' '.join(f'{side:.1f}' for side in box)}")
    return 0


def detect(model: Path, picture: Any) -> Any:  # noqa: ANN401 - numpy is not typed everywhere
    """What is in a picture `[H, W]` or `[H, W, 3]` uint8, the best first.

    `[D, 6]` float32: left, top, right, bottom in pixels of the picture, score, class.
    """
    settings = settings_of("preprocessing.json")
    found = decoded(run(model, prepare(picture, settings)), settings_of("detection.json"))
    height, width = picture.shape[:2]
    rows, columns = sides(height, width, settings)
    found[:, :4] *= np.array([width / columns, height / rows] * 2)
    found[:, :4] = np.clip(found[:, :4], 0, [width, height] * 2)
    return found


def decoded(outputs: dict[str, Any], settings: Any) -> Any:  # noqa: ANN401 - as above
    """What outputs mean, `[D, 6]` float32 as of ``detect``, in pixels of the input.

    Args:
        outputs: By name, channels last, `[1, H, W, C]`.
        settings: Of detection.json.
    """
    found = np.concatenate([_of_level(outputs, each, settings) for each in settings["levels"]])
    found[:, :4] = np.clip(found[:, :4], 0, settings["size"])
    found = found[np.argsort(-found[:, 4], kind="stable")]
    return found[_kept(found, settings["overlap"])][: settings["count"]]


def _of_level(outputs: dict[str, Any], level: Any, settings: Any) -> Any:  # noqa: ANN401 - as above
    """The boxes of a level with a score that is told, `[D, 6]`."""
    classes = settings["classes"]
    logits = outputs[level["scores"]].astype(np.float32).ravel()
    best = np.argsort(-logits, kind="stable")[: settings["candidates"]]
    scores = 1 / (1 + np.exp(-logits[best]))
    best, scores = best[scores > settings["least_score"]], scores[scores > settings["least_score"]]
    anchor = best // classes
    codes = outputs[level["boxes"]].astype(np.float32).reshape(-1, 4)[anchor]
    boxes = _boxes(codes, _anchors(level)[anchor], settings["largest_log"])
    return np.column_stack([boxes, scores, best % classes]).astype(np.float32)


def _anchors(level: Any) -> Any:  # noqa: ANN401 - as above
    """`[H * W * 9, 4]`: left, top, right, bottom in pixels of the input, row by row."""
    rows, columns = (
        (np.arange(level[side]) + 0.5) * level["stride"] for side in ("rows", "columns")
    )
    y, x = np.meshgrid(rows, columns, indexing="ij")
    middles = np.stack([x, y, x, y], axis=-1).reshape(-1, 1, 4)
    return (middles + np.array(level["anchors"])).reshape(-1, 4).astype(np.float32)


def _boxes(codes: Any, anchors: Any, largest: float) -> Any:  # noqa: ANN401 - as above
    """Boxes `[D, 4]` that are so many anchors' sides off, and so many times as large."""
    units = anchors[:, 2:] - anchors[:, :2]
    middles = (anchors[:, :2] + anchors[:, 2:]) / 2 + codes[:, :2] * units
    halves = np.exp(np.minimum(codes[:, 2:], largest)) * units / 2
    return np.concatenate([middles - halves, middles + halves], axis=1)


def _kept(found: Any, overlap: float) -> list[int]:  # noqa: ANN401 - as above
    """Places of boxes, the best first, that lie on no better one of their class."""
    left, top, right, bottom, _, label = found.T
    areas = (right - left) * (bottom - top)
    is_left = np.ones(len(found), bool)
    kept = []
    for place in range(len(found)):
        if not is_left[place]:
            continue
        kept.append(place)
        wide = np.minimum(right, right[place]) - np.maximum(left, left[place])
        high = np.minimum(bottom, bottom[place]) - np.maximum(top, top[place])
        shared = np.maximum(wide, 0) * np.maximum(high, 0)
        joined = np.maximum(areas + areas[place] - shared, np.finfo(np.float32).tiny)
        is_left &= (shared / joined <= overlap) | (label != label[place])
    return kept


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
