"""A phone timed inside a foreground app instead of by a program of its shell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from devices.adb import AdbDevice
from devices.app_mode import AppRunner
from devices.clock import Deadline
from devices.device import (
    DevicePermanentError,
    DeviceState,
    ModelFile,
    RunRecord,
    RunSettings,
    Setup,
)
from devices.phone_cache import PhoneCache


class AppDevice:
    """Google's benchmark app on a phone; a ``Device``.

    Nothing pins an app to cores, so its setup has none; its runner is another one than the
    shell's, so that the two figures never stand side by side unlabelled.

    Args:
        phone: Owned from now on.
        apk: The app's package, installed if it is given; None where it is there.
    """

    def __init__(self, phone: AdbDevice, apk: Path | None = None) -> None:
        self._phone = phone
        self._app = AppRunner(lambda: phone.transport, phone.id, apk)

    @property
    def id(self) -> str:
        """See ``Device.id``."""
        return self._phone.id

    def setup(self, settings: RunSettings) -> Setup:
        """See ``Device.setup``."""
        return replace(self._phone.setup(settings), runner=self._app.info(), cores=())

    @contextmanager
    def hold(self, settings: RunSettings) -> Iterator[tuple[str, ...]]:
        """See ``Device.hold``."""
        with self._phone.hold(settings) as labels:
            yield (*labels, "mode: inside a foreground app, not pinned to cores")

    def state(self) -> DeviceState:
        """See ``Device.state``."""
        return self._phone.state()

    def run(self, model: ModelFile, settings: RunSettings) -> RunRecord:
        """See ``Device.run``."""
        if not model.path.is_file():
            raise DevicePermanentError(self.id, f"there is no model file {str(model.path)!r}")
        with self._phone.letting_go():
            return self._run(model, settings)

    def _run(self, model: ModelFile, settings: RunSettings) -> RunRecord:
        cache = PhoneCache(self._phone.transport, self.id)
        deadline = Deadline.within(settings.timeout_s)
        remote = cache.ensure(model, deadline.left_s)
        before, started_at = self.state(), datetime.now(UTC)
        parsed = self._app.run(remote, replace(settings, timeout_s=deadline.left_s))
        return RunRecord(
            samples=parsed.summary,
            first_ms=parsed.first_ms,
            init_ms=parsed.init_ms,
            peak_memory_mb=parsed.peak_memory_mb or parsed.footprint_mb,
            before=before,
            after=self.state(),
            started_at=started_at,
        )

    def close(self) -> None:
        """See ``Device.close``."""
        self._phone.close()
