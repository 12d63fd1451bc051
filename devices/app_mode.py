"""Latency inside a foreground app, by Google's benchmark APK, whose results come in the log.

An app is scheduled otherwise than a program of the shell: two to three times slower on some
phones. The app takes the flags of TensorFlow Lite's tool and logs the lines that the tool prints.
This was written after Google's description of the app and logs that others published; it was not
run on a real phone. The screen has to be on and unlocked.

While the app times, the phone is left alone: one ``logcat`` sleeps there until the result is
logged, and a shell looks every few seconds whether the app lives.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from devices.clock import Clock, WallClock
from devices.device import (
    DeviceError,
    DevicePermanentError,
    DeviceTransientError,
    RunnerInfo,
    RunSettings,
)
from devices.phone_cache import FOLDER
from devices.runners import (
    Dialect,
    Parsed,
    RequestIgnoredError,
    UnreadableOutputError,
    arguments,
    parse,
)
from devices.transport import ShellResult, Transport
from workspace.errors import InputError
from workspace.files import sha256_of

PACKAGE = "org.tensorflow.lite.benchmark"
ACTIVITY = f"{PACKAGE}/.BenchmarkModelActivity"
TAG = "tflite"
"""Under which the app logs, and under which the marker is logged before it starts."""

CALL_S = 20.0
INSTALL_S = 180.0
WATCH_S = 30.0
"""How long one call waits for the result; then the log is read, in case it was there before."""

ALIVE_S = 5.0
"""Between two looks whether the app lives, on the phone."""

PAUSE_S = 5.0
"""Between two looks at the log, on a phone whose ``logcat`` cannot wait for a line."""

SETTLE_S = 0.3
"""Given to the lines that follow the summary."""

_THREADTIME = re.compile(
    rf"\S+ +\S+ +(?P<pid>\d+) +\d+ (?P<level>[VDIWEF]) {TAG} *: ?(?P<text>.*)"
)
_LEVELS = {"W": "WARN", "E": "ERROR", "F": "ERROR"}
_OURS = ("Log parameter values verbosely", "Min num runs: [", "Graph: [")
_RESULT = "Inference timings in us: "
_END = f"INFO: {_RESULT}"


class AppRunner:
    """The benchmark app on one phone.

    Args:
        transport: Gives the connection to the phone, whose lease the caller holds; it may be
            another one after a fault.
        device_id: Its id, for errors.
        apk: The app, to be installed where the phone lacks it; None if it is there already.
        clock: Tells when time is up, and waits.
    """

    def __init__(
        self,
        transport: Callable[[], Transport],
        device_id: str,
        apk: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        if apk is not None and not apk.is_file():
            msg = f"there is no file {str(apk)!r}: give the path of the benchmark APK"
            raise InputError(msg)
        self._transport = transport
        self._device = device_id
        self._apk = apk
        self._clock = clock or WallClock()
        self._info: RunnerInfo | None = None

    def info(self) -> RunnerInfo:
        """Which app it is; it is installed first where an APK was given and another is there.

        Raises:
            DevicePermanentError: If the phone lacks it, or refuses it, with its words.
        """
        if self._info is None:
            digest = self._installed()
            if self._apk is not None and digest != sha256_of(self._apk):
                self._install(self._apk)
                digest = self._installed()
            if not digest:
                msg = f"it lacks the app {PACKAGE}: give Google's benchmark APK with --apk PATH"
                raise DevicePermanentError(self._device, msg)
            self._info = RunnerInfo(
                name="benchmark_app",
                dialect=Dialect.TFLITE.value,
                version=self._version(),
                sha256=digest,
            )
        return self._info

    def run(self, model: str, settings: RunSettings) -> Parsed:
        """Run the model that lies at ``model`` on the phone, in the foreground.

        Cores cannot be chosen: Android schedules an app as it likes.

        Raises:
            DevicePermanentError: If the app lacks what was asked for, or it or the model fails.
            DeviceTransientError: If it did not end in time, or its log cannot be read whole.
        """
        self.info()
        if settings.cores:
            msg = f"an app cannot be pinned to the cores {settings.cores}"
            raise DevicePermanentError(self._device, msg)
        flags = arguments(Dialect.TFLITE, model, settings)
        marker = f"pocketnas-{secrets.token_hex(8)}"
        self._checked(["chmod", "644", model], "the model cannot be shown to the app")
        self._checked(["log", "-t", TAG, marker], "nothing can be logged")
        try:
            self._start(flags)
            lines = self._wait(marker, settings.timeout_s)
        finally:
            with suppress(DeviceError):
                self._transport().shell(["am", "force-stop", PACKAGE], CALL_S)
        return self._read(flags, lines)

    def _read(self, flags: tuple[str, ...], lines: list[str]) -> Parsed:
        text = "".join(f"{line}\n" for line in lines)
        try:
            return parse(Dialect.TFLITE, flags, text, "")
        except RequestIgnoredError as error:
            raise DevicePermanentError(
                self._device, str(error), command=flags, stdout=text[-2000:]
            ) from error
        except UnreadableOutputError as error:
            raise DeviceTransientError(
                self._device, str(error), command=flags, stdout=text[-2000:]
            ) from error

    def _start(self, flags: tuple[str, ...]) -> None:
        command = ["am", "start", "-S", "-n", ACTIVITY, "--es", "args", " ".join(flags)]
        result = self._checked(command, "the app cannot be started")
        if "Error" in result.stdout + result.stderr:
            msg = "the app cannot be started"
            raise self._refused(msg, command, result)

    def _wait(self, marker: str, timeout_s: float) -> list[str]:
        """What the app logs until it has told its result, has failed, or time is up."""
        until = self._clock.now_s() + timeout_s
        started = False
        while (left_s := until - self._clock.now_s()) > 0:
            self._watch(min(left_s, WATCH_S))
            alive = self._transport().shell(["pidof", PACKAGE], CALL_S).exit_code == 0
            lines = self._log(marker)
            if any(line.startswith(_END) for line in lines):
                self._clock.sleep(SETTLE_S)
                return self._log(marker)
            if started and not alive:
                raise self._died(lines)
            started = started or alive
        msg = f"the app told no result within {timeout_s:g} s"
        raise DeviceTransientError(self._device, msg)

    def _watch(self, limit_s: float) -> None:
        """Wait on the phone until something has happened; where that cannot be, just wait."""
        began_s = self._clock.now_s()
        self._transport().script(watch_script(limit_s), limit_s + CALL_S)
        took_s = self._clock.now_s() - began_s
        if took_s < SETTLE_S:
            self._clock.sleep(min(limit_s, PAUSE_S) - took_s)

    def _died(self, lines: list[str]) -> DeviceError:
        """The app is gone without a result: for good where it says why, else perhaps not."""
        text = " ".join(line for line in lines if line.startswith("ERROR"))[:500]
        if text:
            return DevicePermanentError(self._device, f"the app ended: {text}")
        return DeviceTransientError(self._device, "the app ended without a result")

    def _log(self, marker: str) -> list[str]:
        command = ["logcat", "-d", "-v", "threadtime", "-s", f"{TAG}:V"]
        result = self._checked(command, "the log cannot be read")
        lines = after_marker(result.stdout.splitlines(), marker)
        if lines is None:
            msg = "the log overflowed: what was logged when the app started is gone"
            raise DeviceTransientError(self._device, msg)
        return lines

    def _installed(self) -> str:
        """Digest of the app's APK; empty if the phone has none."""
        result = self._transport().shell(["pm", "path", PACKAGE], CALL_S)
        paths = re.findall(r"^package:(\S+\.apk)\s*$", result.stdout, re.MULTILINE)
        return self._transport().sha256(paths[0], CALL_S) if paths else ""

    def _install(self, apk: Path) -> None:
        target = f"{FOLDER}/benchmark.apk"
        self._transport().push(apk, target, sha256_of(apk), INSTALL_S)
        command = ["pm", "install", "-r", "-d", "-g", target]
        result = self._transport().shell(command, INSTALL_S)
        self._transport().shell(["rm", "-f", target], CALL_S)
        if result.exit_code != 0 or "Success" not in result.stdout:
            msg = f"{apk.name} cannot be installed"
            raise self._refused(msg, command, result)

    def _version(self) -> str:
        result = self._transport().shell(["dumpsys", "package", PACKAGE], CALL_S)
        found = re.search(r"versionName=(\S+)", result.stdout)
        return found[1] if found else ""

    def _checked(self, command: list[str], failure: str) -> ShellResult:
        result = self._transport().shell(command, CALL_S)
        if result.exit_code != 0:
            raise self._refused(failure, command, result)
        return result

    def _refused(
        self, failure: str, command: list[str], result: ShellResult
    ) -> DevicePermanentError:
        words = " ".join((result.stderr or result.stdout).split())[:500]
        return DevicePermanentError(
            self._device,
            f"{failure}: {words}",
            command=tuple(command),
            exit_code=result.exit_code,
            stdout=result.stdout[:2000],
            stderr=result.stderr[:2000],
        )


def watch_script(limit_s: float, alive_s: float = ALIVE_S) -> str:
    """Ends once the app has logged its result, is gone, or time is up.

    The last line of the log at its start is our marker or later, so that an older result is none.
    """
    looks = max(1, round(limit_s / alive_s))
    return (
        f"logcat -v brief -s {TAG}:V -T 1 -m 1 -e '{_RESULT}' >/dev/null 2>&1 & l=$!\n"
        f"{{ i=0; while [ $i -lt {looks} ]; do sleep {alive_s:g}; i=$((i+1))\n"
        f"pidof {PACKAGE} || break; done; kill $l; }} >/dev/null 2>&1 & w=$!\n"
        "wait $l 2>/dev/null; kill $w 2>/dev/null; :"
    )


def after_marker(log: Iterable[str], marker: str) -> list[str] | None:
    """What the app logged after ``marker``, as the tool would have printed it.

    Other apps log under the same tag; the benchmark's process is the one that repeats its
    parameters. None if the marker is not in the log.
    """
    found, ours = False, ""
    told: dict[str, list[str]] = {}
    for line in log:
        match = _THREADTIME.fullmatch(line.rstrip())
        if match and match["text"].strip() == marker:
            found, ours, told = True, "", {}
        elif match and found:
            level, text = _LEVELS.get(match["level"], "INFO"), match["text"]
            told.setdefault(match["pid"], []).append(f"{level}: {text}" if text else "")
            ours = ours or (match["pid"] if text.startswith(_OURS) else "")
    return told.get(ours, []) if found else None
