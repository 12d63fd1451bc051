"""Models on a phone: pushed once, by content, within a cap, and checked before every use.

A file is hashed on the phone once a connection and after every failure (``forget``); in between
its size and the time of its last change, in nanoseconds, are compared, which costs one call.
The time of its last use is its access time, set explicitly: what was not used for longest goes
first where the cap is reached or the phone runs full.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from devices.clock import Deadline
from devices.device import DevicePermanentError, DeviceTransientError, ModelFile
from devices.transport import Transport

SCRATCH = "/data/local/tmp"
"""Where the shell user of a phone may write and run programs."""

FOLDER = f"{SCRATCH}/pocketnas"
"""Of what is put on the phone."""

CAP_BYTES = 512 << 20
"""Of all models together."""

SPARE_BYTES = 16 << 20
"""Left free on the phone beside what is pushed."""

STALE_MINUTES = 60
"""Since its last change: a push that was interrupted, not one that is under way."""

CALL_S = 20.0
"""Deadline of a small call."""

RUNNER_FILES = ("benchmark_model", "benchmark_model.json")
"""What ``clean`` leaves: the provisioned program, and what is known of it."""

_FULL = re.compile(r"No space left|MB left|quota", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheUsage:
    """How much of a phone is taken."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cached:
    path: str
    bytes: int
    used_s: int


class PhoneCache:
    """The models on one phone, over one connection; whoever uses it holds the phone's lease.

    Args:
        transport: To the phone.
        device_id: Its id, for errors.
        cap_bytes: Of all models together.
        folder: Of what is put on the phone.
        scratch: Where else files of ours may be left.
    """

    def __init__(
        self,
        transport: Transport,
        device_id: str,
        cap_bytes: int = CAP_BYTES,
        *,
        folder: str = FOLDER,
        scratch: str = SCRATCH,
    ) -> None:
        self._transport = transport
        self._device = device_id
        self._cap_bytes = cap_bytes
        self._folder = folder
        self._scratch = scratch
        self._verified: dict[str, str] = {}

    def ensure(self, model: ModelFile, timeout_s: float) -> str:
        """Where ``model`` lies on the phone; it is pushed if it is not there, whole and unchanged.

        Raises:
            DevicePermanentError: If there is no room for it, with the phone's words.
            DeviceTransientError: If the phone is gone, or what arrived is something else.
        """
        path, deadline = self._path(model), Deadline.within(timeout_s)
        if self._is_there(model, path, deadline.left_s):
            return path
        size = model.path.stat().st_size
        self._make_room(path, size)
        try:
            self._transport.push(model.path, path, model.sha256, deadline.left_s)
        except DevicePermanentError as error:
            if not _FULL.search(error.detail) or not self._evict(self._others(path)):
                raise
            self._transport.push(model.path, path, model.sha256, deadline.left_s)
        if not self._is_there(model, path, deadline.left_s):
            msg = f"{path} was pushed, and is gone or another file"
            raise DeviceTransientError(self._device, msg)
        return path

    def require_unchanged(self, model: ModelFile) -> None:
        """Do nothing if nobody wrote to the file since ``ensure``: one call, after a run.

        Raises:
            DeviceTransientError: If somebody did; what ran is another file then.
        """
        path = self._path(model)
        told = self._transport.shell(["stat", "-c", "%s %y", path], CALL_S)
        if told.stdout.strip() != self._verified.get(path):
            self.forget()
            msg = f"{path} was changed on the phone while it ran"
            raise DeviceTransientError(self._device, msg)

    def is_whole(self, model: ModelFile, timeout_s: float) -> bool:
        """Whether the file on the phone has the model's digest, whatever was seen before."""
        self.forget()
        return self._transport.sha256(self._path(model), timeout_s) == model.sha256

    def forget(self) -> None:
        """Trust nothing that was verified: every file is hashed before its next use."""
        self._verified.clear()

    def usage(self) -> CacheUsage:
        """What the models take now."""
        cached = self._cached()
        return CacheUsage(files=len(cached), bytes=sum(each.bytes for each in cached))

    def clean(self, *, runner: bool = False) -> CacheUsage:
        """Remove models, results and what interrupted calls left; what was removed.

        Args:
            runner: Whether the provisioned program goes as well.
        """
        kept = () if runner else RUNNER_FILES
        names = " ".join(f"! -name {shlex.quote(name)}" for name in kept)
        folder, scratch = shlex.quote(self._folder), shlex.quote(self._scratch)
        stderr_files = f"find {scratch} -maxdepth 1 -type f -name '.pocketnas-*' -mmin +1"
        text = (
            f"{{ [ ! -d {folder} ] || find {folder} -type f {names}; {stderr_files}; }} | "
            'while IFS= read -r f; do s=$(stat -c %s "$f") && rm -f "$f" && echo "$s"; done'
        )
        sizes = [int(line) for line in self._checked(text, CALL_S).split()]
        self.forget()
        return CacheUsage(files=len(sizes), bytes=sum(sizes))

    @property
    def _models(self) -> str:
        return f"{self._folder}/models"

    def _path(self, model: ModelFile) -> str:
        return f"{self._models}/{model.sha256[:32]}.tflite"

    def _is_there(self, model: ModelFile, path: str, timeout_s: float) -> bool:
        """One call: the hash where it is not known, else size and last change; marks the use."""
        known = self._verified.pop(path, "")
        quoted = shlex.quote(path)
        stat = f"stat -c '%s %y' {quoted}"
        hash_it = "" if known else f"sha256sum {quoted} && {stat} && "
        result = self._transport.script(
            f"[ -f {quoted} ] || exit 3; {stat} && {hash_it}touch -a {quoted}", timeout_s
        )
        if result.exit_code != 0:
            return False
        lines = result.stdout.splitlines()
        if known:
            good = lines == [known] or self._is_there(model, path, timeout_s)
        else:
            good = (
                len(lines) == 3 and lines[1].split(" ")[0] == model.sha256 and lines[0] == lines[2]
            )
        if good:
            self._verified.setdefault(path, lines[0])
        return good

    def _make_room(self, path: str, size: int) -> None:
        """Remove what interrupted pushes left, then models, until cap and phone hold ``size``."""
        if size > self._cap_bytes:
            msg = f"a model of {size >> 20} MB exceeds the {self._cap_bytes >> 20} MB kept there"
            raise DevicePermanentError(self._device, msg)
        folder = shlex.quote(self._folder)
        said = self._checked(
            f"mkdir -p {shlex.quote(self._models)} && find {folder} -name '*.part' "
            f"-mmin +{STALE_MINUTES} -exec rm -f {{}} \\; && df -k {folder} | tail -n 1",
            CALL_S,
        )
        numbers = [int(word) for word in said.split() if word.isdigit()]
        free = numbers[2] * 1024 if len(numbers) >= 3 else size + SPARE_BYTES
        others = self._others(path)
        excess = max(
            sum(each.bytes for each in others) + size - self._cap_bytes, size + SPARE_BYTES - free
        )
        gone: list[_Cached] = []
        while others and excess > sum(each.bytes for each in gone):
            gone.append(others.pop(0))
        self._evict(gone)

    def _others(self, path: str) -> list[_Cached]:
        """All but ``path``, what was not used for longest first."""
        cached = [each for each in self._cached() if each.path != path]
        return sorted(cached, key=lambda each: (each.used_s, each.path))

    def _cached(self) -> list[_Cached]:
        models = shlex.quote(self._models)
        said = self._checked(
            f"[ ! -d {models} ] || find {models} -type f -name '*.tflite' "
            "-exec stat -c '%s %X %n' {} \\;",
            CALL_S,
        )
        rows = (line.split(" ", 2) for line in said.splitlines())
        return [_Cached(path=name, bytes=int(size), used_s=int(used)) for size, used, name in rows]

    def _evict(self, gone: list[_Cached]) -> bool:
        if gone:
            self._checked(f"rm -f {shlex.join(each.path for each in gone)}", CALL_S)
            for each in gone:
                self._verified.pop(each.path, None)
        return bool(gone)

    def _checked(self, text: str, timeout_s: float) -> str:
        result = self._transport.script(text, timeout_s)
        if result.exit_code != 0:
            words = (result.stderr or result.stdout).strip()
            msg = f"the files in {self._folder} cannot be looked after: {words[:300]}"
            raise DevicePermanentError(self._device, msg, exit_code=result.exit_code)
        return result.stdout
