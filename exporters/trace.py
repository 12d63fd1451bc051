"""A torch module as a ``Graph``: traced with torch.fx, shapes worked out by hand.

torch.export takes most of a second for a mobile network; this takes a few hundredths, which a
search can afford for every candidate.
"""

from __future__ import annotations

import operator
import re
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import fx, nn

from exporters.exporter import ExportError, NamedInput
from exporters.graph import Graph
from exporters.operators import float_parts, is_one_operator
from exporters.walk import NodeError, Walk

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_TORCH = str(Path(torch.__file__).parent)


class _Proxy(fx.Proxy):
    """Notes ``+=`` and ``*=`` as what they are; torch.fx alone would note ``+`` and ``*``."""

    def __iadd__(self, other: object) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})

    def __imul__(self, other: object) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.imul, (self, other), {})


class _Tracer(fx.Tracer):
    """Takes torch's own layers, and a few others that ``operators`` knows, as single operators."""

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        return is_one_operator(module) or super().is_leaf_module(module, qualified_name)


_TRACING = threading.Lock()
"""torch.fx changes ``nn.Module`` itself while it traces: two threads would leave it changed."""


def to_graph(module: nn.Module, inputs: tuple[NamedInput, ...]) -> Graph:
    """``module`` as it behaves in eval mode, for inputs of just these shapes.

    Weights that need no change are shared with the module, not copied.

    Args:
        module: Any; not modified.
        inputs: One for each argument of its ``forward``, in order; float32.

    Raises:
        ExportError: If it cannot be traced, or an operator has no counterpart; the text names the
            operator, and where in the module and in which line it is.
    """
    _check(inputs)
    whole = nn.Sequential(module) if _Tracer().is_leaf_module(module, "") else module
    with _TRACING, in_eval_mode(module), _as_it_was(whole), torch.no_grad():
        noted = _noted(whole, type(module).__name__)
        try:
            return replace(Walk(whole, inputs).graph(noted), float_parts=float_parts(whole))
        except NodeError as error:
            place = ", ".join((type(module).__name__, *error.layer, *_line(whole, error.node)))
            msg = f"{place}: {error}"
            raise ExportError(msg) from error


def traced(module: nn.Module) -> fx.Graph:
    """``module`` in eval mode as torch.fx notes it, torch's layers as single operators.

    Raises:
        ExportError: If it cannot be traced; the text has the line of ``forward``.
    """
    with _TRACING, in_eval_mode(module), _as_it_was(module), torch.no_grad():
        return _noted(module, type(module).__name__)


def _noted(module: nn.Module, name: str) -> fx.Graph:
    """What torch.fx notes.

    Raises:
        ExportError: If it cannot be traced. Its cause is one of ours too: the line is told.
    """
    try:
        return _followed(module)
    except ExportError as error:
        msg = f"{name} cannot be traced: {error}"
        raise ExportError(msg) from error


def _followed(module: nn.Module) -> fx.Graph:
    try:
        return _Tracer().trace(module)
    except Exception as error:  # forward is the user's and may raise anything
        said = " ".join(str(error).split()) or type(error).__name__
        msg = " ".join((said, *(f"({line})" for line in _line_of_forward(error))))
        raise ExportError(msg) from error


def _line_of_forward(error: Exception) -> Iterator[str]:
    """``FILE:LINE`` of the innermost ``forward`` outside torch that an exception came through."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.name == "forward" and not frame.filename.startswith(_TORCH):
            yield f"{Path(frame.filename).name}:{frame.lineno}"
            return


@contextmanager
def in_eval_mode(module: nn.Module) -> Iterator[None]:
    """Put ``module`` into eval mode for a while."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


@contextmanager
def _as_it_was(module: nn.Module) -> Iterator[None]:
    """Take away what torch.fx puts into ``module``: tensors that its forward made."""
    before = set(vars(module))
    try:
        yield
    finally:
        for name in set(vars(module)) - before:
            delattr(module, name)


def _check(inputs: tuple[NamedInput, ...]) -> None:
    names = [given.name for given in inputs]
    if len(set(names)) != len(names):
        msg = f"inputs need names of their own, got {names}"
        raise ExportError(msg)
    for given in inputs:
        if given.value.dtype != torch.float32:
            msg = f"input {given.name!r} is {given.value.dtype}; only torch.float32 is exported"
            raise ExportError(msg)


def _line(module: nn.Module, name: str) -> Iterator[str]:
    """The line of a ``forward`` that made a node: traced once more, with stacks, which is slow."""
    tracer = _Tracer()
    tracer.record_stack_traces = True
    for node in tracer.trace(module).nodes:
        if node.name == name:
            found = [match.groups() for match in _FRAME.finditer(node.stack_trace or "")]
            theirs = [(file, line) for file, line in found if not file.startswith(_TORCH)]
            yield from (f"{Path(file).name}:{line}" for file, line in theirs[-1:])
