"""Tables as files: the published ones, those in ``POCKETNAS_HOME/tables``, and any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from latency.table import Condition, LatencyTable
from latency.table import variance_of as variance_of
from latency.table_reader import from_text
from latency.table_text import to_text
from workspace.errors import InputError, OperationError
from workspace.files import write_whole
from workspace.home import home, require_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A table that ships with the project.

    Attributes:
        file: In ``latency/tables``.
        conditions: As its authors published them.
        unknown: What they did not publish.
    """

    file: str
    conditions: Mapping[str, Condition]
    unknown: tuple[str, ...]


PUBLISHED = {
    "pixel1": Published(
        file="pixel1_proxylessnas.yaml",
        conditions={
            "device_model": "Pixel 1",
            "threads": 1,
            "input_size": 224,
            "statistic": "mean",
            "source": "ProxylessNAS, Cai et al., ICLR 2019, arXiv 1812.00332, as published",
        },
        unknown=(
            "unit",
            "build",
            "kernel",
            "runner",
            "runner_version",
            "cores",
            "clock_tier",
            "precision",
        ),
    )
}
"""By the name that follows ``table:``."""


def load(text: str) -> LatencyTable:
    """The table that ``text`` names, the part after ``table:`` of a source.

    Args:
        text: A published table, the name of a file in ``POCKETNAS_HOME/tables``, or a path.

    Raises:
        InputError: If there is none, or it is no table; the text names the entry.
    """
    if text in PUBLISHED:
        published = PUBLISHED[text]
        path = Path(__file__).parent / "tables" / published.file
        found = read(path, text)
        return replace(found, conditions=published.conditions, unknown=published.unknown)
    for path in (path_of(text), Path(text)):
        if text and _is_file(path):
            return read(path, text)
    msg = (
        f"no table {text!r}; there is {', '.join(known_names())}, and table:PATH for a YAML file "
        f"of yours ({path_of(text)} would be found by that name)"
    )
    raise InputError(msg)


def path_of(name: str) -> Path:
    """Where a table of that name is kept on this computer."""
    return home() / "tables" / f"{name}.yaml"


def new_path(name: str) -> Path:
    """Where a table that is to be made is kept.

    Raises:
        InputError: If it cannot be called so.
    """
    if name in PUBLISHED:
        msg = f"{name!r} is the published table's name; choose another"
        raise InputError(msg)
    require_name(name, "a table")
    return path_of(name)


def known_names() -> tuple[str, ...]:
    """The published tables, and those in ``POCKETNAS_HOME/tables``."""
    folder = home() / "tables"
    mine = sorted(path.stem for path in folder.glob("*.yaml")) if folder.is_dir() else []
    return (*PUBLISHED, *(name for name in mine if name not in PUBLISHED))


def read(path: Path, name: str) -> LatencyTable:
    """The table in a YAML file.

    Raises:
        InputError: If it cannot be read, is no table, is cut off or of a newer version; the text
            names what is wrong.
    """
    what = f"the table {str(path)!r}"
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{what} cannot be read: {error}"
        raise InputError(msg) from error
    return from_text(content, f"table:{name}", what)


def write(table: LatencyTable, path: Path) -> None:
    """Write a table as text of version 2, whole or not at all; the same table gives the same text.

    Raises:
        OperationError: If the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, to_text(table).encode())
    except OSError as error:
        reason = error.strerror or str(error)
        msg = f"the table {str(path)!r} cannot be written ({reason}): make room, or name another"
        raise OperationError(msg) from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False
