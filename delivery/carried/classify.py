"""Classifies a picture with one of the models of this bundle.

    pip install -r requirements.txt
    python snippets/classify.py PICTURE [MODEL]

PICTURE is a binary PGM or PPM file, or a NumPy file of `[H, W]` or `[H, W, 3]` uint8; where Pillow
is installed, any that it reads. MODEL is one of the .tflite or .onnx files in models/; the first
one where it is left out.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from delivery.carried.pictures import BUNDLE, prepare, read_picture, settings_of
from delivery.carried.runtimes import first_model, run


def main(arguments: list[str]) -> int:
    """Print the three most probable labels; the exit code."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    model = Path(arguments[1]) if len(arguments) > 1 else first_model()
    labels = (BUNDLE / "labels.txt").read_text(encoding="utf-8").splitlines()
    probabilities = classify(model, read_picture(Path(arguments[0])))
    for index in np.argsort(-probabilities)[:3]:
        print(f"{probabilities[index]:.4f}  {labels[index]}")
    return 0


def classify(model: Path, picture: Any) -> Any:  # noqa: ANN401 - numpy is not typed everywhere
    """Probabilities `[classes]` of a picture `[H, W]` or `[H, W, 3]` uint8."""
    (scores,) = run(model, prepare(picture, settings_of("preprocessing.json"))).values()
    powers = np.exp(scores[0] - scores[0].max())
    return powers / powers.sum()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
