"""A network as one Python file that needs torch alone.

The file holds the layers by their constructors, the forward as torch.fx traced it, and a reader of
safetensors, so that it needs neither this project nor the safetensors package. Names are those of
the state dict, and nothing is folded: it can be trained further.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from delivery.definitions import Definitions
from exporters.exporter import ExportError
from exporters.trace import traced

if TYPE_CHECKING:
    from torch import fx

WEIGHTS = "weights.safetensors"
"""Beside the file."""

MOST_NUMBERS = 4096
"""Of a constant that is written into the file."""

_NUMBERS = {"inf": "from math import inf", "nan": "from math import nan"}
"""What torch.fx calls by names of its own."""

_ALIKE = frozenset({"kernel_size", "stride", "padding", "dilation"})
"""Arguments for which one number stands for as many equal ones."""

_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

_IMPORTED = frozenset({"import torch", "from torch import nn"})

_HEAD = '''"""{about}

Needs torch alone: ``network = load()``, then ``network({inputs})``.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

{imports}
{definitions}

class Network(nn.Module):
    """{shapes}"""

    def __init__(self) -> None:
        super().__init__()
        layers = {{
{layers}        }}
        for path, layer in layers.items():
            holder, name = self._holder(path)
            holder.add_module(name, layer)
{tensors}
    def _holder(self, path: str) -> tuple[nn.Module, str]:
        """The module that has the last part of ``path``, made where it is missing."""
        *parents, name = path.split(".")
        holder: nn.Module = self
        for parent in parents:
            if not hasattr(holder, parent):
                holder.add_module(parent, nn.Module())
            holder = getattr(holder, parent)
        return holder, name

{forward}

def load(weights: str | Path = Path(__file__).with_name("{weights}")) -> Network:
    """The network with its weights, in eval mode."""
    network = Network()
    network.load_state_dict(read_safetensors(Path(weights)))
    return network.eval()


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a safetensors file: a length, a JSON header, then the numbers."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    kinds = {{
        "F32": torch.float32,
        "F16": torch.float16,
        "I64": torch.int64,
        "I32": torch.int32,
        "U8": torch.uint8,
        "BOOL": torch.bool,
    }}
    tensors = {{}}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            numbers = torch.empty(0, dtype=kinds[entry["dtype"]])
            if end > begin:
                numbers = torch.frombuffer(bytearray(content[begin:end]), dtype=numbers.dtype)
            tensors[name] = numbers.reshape(entry["shape"])
    return tensors


if __name__ == "__main__":
    print(load()({examples}))
'''


def source(module: nn.Module, shapes: dict[str, tuple[int, ...]], about: str) -> str:
    """The file's text.

    Args:
        module: The network.
        shapes: Of its inputs by name, without the batch.
        about: First lines of its docstring, plain text.

    Raises:
        ExportError: If the module cannot be traced, or has a layer that cannot be written down.
    """
    graph = traced(module)
    definitions = Definitions()
    leaves = _leaves(module, graph)
    layers = "".join(
        f'            "{path}": {_constructor(layer, path, definitions)},\n'
        for path, layer in leaves.items()
    )
    code = graph.python_code("self")
    forward = "".join(f"    {line}\n" for line in _forward(graph, code.src))
    for name, value in code.globals.items():
        if not re.search(rf"\b{name}\b", forward):
            continue
        if name in _NUMBERS:
            definitions.imports.add(_NUMBERS[name])
        else:
            definitions.add(name, value)
    taken = (f"`{name}` `[N, {', '.join(map(str, shape))}]`" for name, shape in shapes.items())
    return _HEAD.format(
        about=_plain(about),
        inputs=", ".join(shapes),
        imports="\n".join(sorted(definitions.imports | _IMPORTED, key=_place)),
        definitions="".join(f"\n\n{text}\n" for text in definitions.texts),
        shapes=f"Takes {' and '.join(taken)} float32.",
        layers=layers,
        tensors=_tensors(module, tuple(leaves)),
        forward=forward,
        weights=WEIGHTS,
        examples=", ".join(f"torch.zeros{(1, *shape)}" for shape in shapes.values()),
    )


def state(module: nn.Module) -> dict[str, Tensor]:
    """What belongs into the file of weights: the state dict, each tensor once."""
    once = {name for name, _ in (*module.named_parameters(), *module.named_buffers())}
    return {name: value for name, value in module.state_dict().items() if name in once}


def _place(line: str) -> tuple[bool, str]:
    """Where a line of imports stands: whole modules first."""
    return line.startswith("from"), line


def _plain(text: str) -> str:
    """Text that stays inside a docstring."""
    return text.replace("\\", "/").replace('"', "'")


def _leaves(module: nn.Module, graph: fx.Graph) -> dict[str, nn.Module]:
    """The layers that the forward calls, in the order of the module."""
    called = {str(node.target) for node in graph.nodes if node.op == "call_module"}
    return {path: part for path, part in module.named_modules() if path in called}


def _forward(graph: fx.Graph, code: str) -> Iterator[str]:
    """The lines of the forward, without what torch.fx adds: types, and freeing memory early."""
    taken = ["self"]
    for node in graph.nodes:
        if node.op == "placeholder":
            taken.append(f"{node.target}" + (f"={node.args[0]!r}" if node.args else ""))
    yield f"def forward({', '.join(taken)}):"
    for line in code.strip().split("\n")[1:]:
        yield re.sub(r";  (\w+ = )+None$", "", line.split("  # ")[0].rstrip())


def _tensors(module: nn.Module, leaves: tuple[str, ...]) -> str:
    """Lines that make parameters and buffers which belong to no layer.

    Raises:
        ExportError: If a buffer that is not kept with the weights is too large to be written down.
    """
    lines = []
    kept = module.state_dict()
    kinds = {name: "parameter" for name, _ in module.named_parameters()}
    kinds |= {name: "buffer" for name, _ in module.named_buffers()}
    for name, kind in kinds.items():
        if any(name.startswith(f"{leaf}.") for leaf in leaves):
            continue
        value = kept.get(name)
        made = "" if value is None else f"torch.empty({tuple(value.shape)}, dtype={value.dtype})"
        if kind == "parameter":
            made = f"nn.Parameter({made})"
        if value is None:
            made = f"{_written(name, dict(module.named_buffers())[name])}, persistent=False"
        lines.append(f'        holder, name = self._holder("{name}")\n')
        lines.append(f"        holder.register_{kind}(name, {made})\n")
    return "".join(lines)


def _written(name: str, value: Tensor) -> str:
    if value.numel() > MOST_NUMBERS:
        msg = f"the buffer {name!r} has {value.numel()} numbers and is not kept with the weights"
        raise ExportError(msg)
    return f"torch.tensor({value.tolist()!r}, dtype={value.dtype})"


def _constructor(layer: nn.Module, path: str, definitions: Definitions) -> str:
    """An expression that makes a layer like this one, weights aside.

    Raises:
        ExportError: If its arguments cannot be told from it.
    """
    kind = type(layer)
    parts = []
    for name, parameter in inspect.signature(kind).parameters.items():
        if name in ("device", "dtype") or parameter.kind in _VARIABLE:
            continue
        if not hasattr(layer, name):
            msg = f"layer {path!r}, a {kind.__name__}, does not keep its argument {name!r}"
            raise ExportError(msg)
        value = _argument(layer, name)
        if value != parameter.default:
            text = _literal(value, path, name)
            is_first = parameter.default is parameter.empty
            parts.append(text if is_first else f"{name}={text}")
    if getattr(nn, kind.__name__, None) is kind:
        return f"nn.{kind.__name__}({', '.join(parts)})"
    return f"{definitions.add(kind.__name__, kind)}({', '.join(parts)})"


def _argument(layer: nn.Module, name: str) -> Any:  # noqa: ANN401 - of any layer
    """What a layer was made with, as far as it is told by an attribute of that name."""
    value = getattr(layer, name)
    if name == "bias" and (value is None or isinstance(value, Tensor)):
        return value is not None
    if name in _ALIKE and isinstance(value, tuple) and len(set(value)) == 1:
        return value[0]
    return value


def _literal(value: Any, path: str, name: str) -> str:  # noqa: ANN401 - of any layer
    """Python text of a plain value."""
    if isinstance(value, tuple):
        inner = ", ".join(_literal(each, path, name) for each in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if value is None or isinstance(value, bool | int | str):
        return repr(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    msg = f"layer {path!r} has {name} {value!r}, which cannot be written down"
    raise ExportError(msg)
