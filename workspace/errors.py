"""The two ways in which a command can fail, and what each means to its caller.

* ``InputError`` (a ``ValueError``): what was given cannot be used. Exit code 2, nothing changed.
* ``OperationError``: the work was understood and could not be done. Exit code 1. Its children
  (``devices.device.DeviceError``, ``exporters.exporter.ExportError``, …) say what to do next.
"""

from __future__ import annotations


class InputError(ValueError):
    """One sentence that quotes what was given and says what would be right."""


class OperationError(Exception):
    """One sentence that says what could not be done, and why."""
