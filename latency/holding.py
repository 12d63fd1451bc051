"""What a batch holds of a device: clock, screen and the like; held again after a reboot."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from devices.device import Device, RunSettings


class Holding:
    """A context in which a device is held as ``settings`` say.

    A phone that reboots forgets its clock tier and its quiet. ``is_void`` tells, and ``renew``
    puts back what the first hold had changed and holds anew.

    Args:
        device: Under a lease of the caller's.
        settings: What is to be held.
    """

    def __init__(self, device: Device, settings: RunSettings) -> None:
        self._device = device
        self._settings = settings
        self._held = ExitStack()
        self._boot_id: str | None = None
        self._labels: dict[str, None] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        """What could not be held, in any of the holds so far."""
        return tuple(self._labels)

    def __enter__(self) -> Self:
        """Hold it.

        Raises:
            DeviceError: If it does not answer; nothing is held.
        """
        self._hold()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put back what was changed."""
        self._held.close()

    def is_void(self, boot_id: str | None) -> bool:
        """Whether a device with this start of its system has been rebooted since it was held."""
        return None not in (boot_id, self._boot_id) and boot_id != self._boot_id

    def renew(self) -> None:
        """Hold it anew.

        Raises:
            DeviceError: If it does not answer; nothing is held.
        """
        self._held.close()
        self._hold()

    def _hold(self) -> None:
        labels = self._held.enter_context(self._device.hold(self._settings))
        self._labels |= dict.fromkeys(labels)
        self._boot_id = self._device.state().boot_id
