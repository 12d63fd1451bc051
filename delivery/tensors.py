"""Tensors as a safetensors file, which needs no package to write and no pickle to read."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING

from exporters.exporter import ExportError

if TYPE_CHECKING:
    from torch import Tensor

_ALIGNMENT = 8
"""Of the numbers in the file."""


def safetensors(tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of a file: a length, a JSON header, then the numbers in the order of names.

    Raises:
        ExportError: If a tensor has a type that is no type of a network's weights.
    """
    import torch

    kinds = {
        torch.float32: "F32",
        torch.float16: "F16",
        torch.int64: "I64",
        torch.int32: "I32",
        torch.uint8: "U8",
        torch.bool: "BOOL",
    }
    header: dict[str, object] = {}
    parts: list[bytes] = []
    end = 0
    for name, value in sorted(tensors.items()):
        if value.dtype not in kinds:
            msg = f"the tensor {name!r} is {value.dtype}; safetensors here hold {list(kinds)}"
            raise ExportError(msg)
        content = value.detach().cpu().contiguous().numpy().tobytes()
        header[name] = {
            "dtype": kinds[value.dtype],
            "shape": list(value.shape),
            "data_offsets": [end, end + len(content)],
        }
        parts.append(content)
        end += len(content)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)
