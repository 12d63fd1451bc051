"""PocketNAS against its parts glued together: the same candidates on the same loopback phone.

Thirty seeded random points of MnasNet's space at 96 pixels. The way by parts is
``glue/by_parts.py``: Optuna holds the points, litert-torch converts, Debian's adb pushes, and the
phone's benchmark tool runs once for each. The way by PocketNAS is ``glue/by_pocketnas.py``: a
latency source with preset ``search``. Neither trains anything, and accuracies are no part of this.

Each way goes over all candidates in two passes, by turns with the other, and once more over the
first ten while the connection to the phone is dropped a single time, half a second after the fifth
start of the phone's tool. Then:

* ``s_per_candidate``: of the first pass, all in all. ``split`` has its parts: converting, pushing,
  running the tool over adb, the rest; and how much of it are the model's own runs, warm-up
  included, by the ledger that the phone's tool keeps. ``overhead_s`` is what is beyond those.
* ``flips``: pairs of candidates in another order in the second pass, of those that are at least
  3 % apart. How far they are is the geometric mean of both ways and passes, so both have the same
  pairs. Pairs that PocketNAS does not tell apart in either pass (the 90 % interval of their ratio
  holds 1) are counted beside.
* ``failures``: under the fault, candidates without a number, and those more than 10 % off the
  median of that way's undisturbed passes. How many are so far apart in the two undisturbed passes
  stands beside it.
* ``lines``: of the file of each way that hold code: no blank lines, comments or docstrings.

Chosen in favour of the parts: the networks are given as torch modules; all is imported and one
network converted before the clock starts; adb's server runs and has the phone; a file is converted
once for both passes; nothing is removed from the phone; a failure costs its candidate only, and
what hangs is given up; the fault is the mildest that ends a run: the phone can be reached again at
once, and adb connects anew by itself while the next network is converted.

A loopback phone is no phone: its times are this computer's, and test the way to one.

Run: ``python benchmarks/against_glue.py [--quick]``; one JSON object comes last on stdout. It
needs root, Debian's adb and the extras ``train`` and ``litert``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import ParamSpec, TypeVar
from unittest.mock import patch

from benchmarks.glue.figures import PARTS, WAYS, Pass, by_way, code_lines, figures
from devices.adb import AdbDevice
from devices.fault_plan import Direction, Fault, FaultKind, Plan, When
from devices.fault_proxy import FaultProxy
from devices.loopback.phone import down, up
from devices.loopback.state import Phone, phones_folder
from devices.transport import Transport
from exporters.artifact import ModelFormat, Precision
from latency.measurement import Verdict
from latency.model_files import ModelFiles
from latency.source import LatencyEstimate, LatencyFailure, NetworkSubject
from search_space.architecture import Classifier
from search_space.decisions import Decisions
from search_space.mnasnet import MnasNetSpace
from workspace.home import home

Given = ParamSpec("Given")
Got = TypeVar("Got")

SIZE = 96
"""Of the input, in pixels: networks of half a millisecond and more on a computer."""

RATE = 30e6
"""Bytes a second of the link: USB 2 at its best."""

STRIKES_AFTER_S = 0.5
"""From the start of the phone's tool to the fault: the models are being warmed up or timed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is done.

    Attributes:
        candidates: In each pass.
        disturbed: Of them, in the pass with the fault.
        struck_start: Which start of the phone's tool the fault follows.
    """

    candidates: int
    disturbed: int
    struck_start: int


FULL = Scale(candidates=30, disturbed=10, struck_start=5)
QUICK = Scale(candidates=3, disturbed=2, struck_start=2)


@dataclass(slots=True)
class Stopwatch:
    """Seconds by part; a part inside another is taken off that."""

    seconds: dict[str, float] = field(default_factory=dict)
    _inner_s: list[float] = field(default_factory=list)

    def around(self, part: str, function: Callable[Given, Got]) -> Callable[Given, Got]:
        """``function``, timed."""

        def timed(*args: Given.args, **kwargs: Given.kwargs) -> Got:
            self._inner_s.append(0.0)
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                took_s = time.perf_counter() - start
                own_s = took_s - self._inner_s.pop()
                self.seconds[part] = self.seconds.get(part, 0.0) + own_s
                if self._inner_s:
                    self._inner_s[-1] += took_s

        return timed


def say(text: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


# --- the passes ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What both ways find.

    Attributes:
        phone: Up.
        space: Of the candidates.
        folder: For files of the way by parts.
    """

    phone: Phone
    space: MnasNetSpace
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a way gives for its candidates, and when.

    Attributes:
        latencies_ms: See ``Pass``.
        sessions_ms: See ``Pass``.
        unstable: See ``Pass``.
        total_s: From the question to the last answer.
    """

    latencies_ms: tuple[float | None, ...]
    sessions_ms: tuple[tuple[float, ...], ...]
    unstable: int
    total_s: float


def one_pass(way: str, setting: Setting, points: list[Decisions], plan: Plan) -> Pass:
    """One way over all points, through a link of its own in which ``plan`` goes wrong."""
    before, watch = len(ledger(setting.phone)), Stopwatch()
    with FaultProxy(setting.phone.serial, plan, RATE) as proxy:
        asked = by_parts if way == PARTS else by_pocketnas
        answers = asked(setting, points, proxy.serial, watch)
        faults = len(proxy.counters.faults)
    entries = ledger(setting.phone)[before:]
    lost = sum(latency is None for latency in answers.latencies_ms)
    say(f"{way}: {answers.total_s / len(points):.2f} s a candidate, {lost} lost")
    return Pass(
        latencies_ms=answers.latencies_ms,
        sessions_ms=answers.sessions_ms,
        total_s=answers.total_s,
        parts_s=watch.seconds,
        in_runs_s=sum(sum(entry["warmup_us"]) + sum(entry["timed_us"]) for entry in entries) / 1e6,
        starts=len(entries),
        faults=faults,
        unstable=answers.unstable,
    )


def by_parts(setting: Setting, points: list[Decisions], serial: str, watch: Stopwatch) -> Answers:
    """The way by parts; adb's server is there before the clock starts."""
    from benchmarks.glue import by_parts as way

    with ExitStack() as stack:
        stack.enter_context(adb_server(serial))
        for name in ("convert", "push", "run"):
            timed = watch.around(name, getattr(way, name))
            stack.enter_context(patch.object(way, name, timed))
        start = time.perf_counter()
        found = way.latencies(setting.space, points, serial, setting.folder)
        total_s = time.perf_counter() - start
    return Answers(
        latencies_ms=tuple(found),
        sessions_ms=tuple(() for _ in found),
        unstable=0,
        total_s=total_s,
    )


def by_pocketnas(
    setting: Setting, points: list[Decisions], serial: str, watch: Stopwatch
) -> Answers:
    """The way by PocketNAS."""
    from benchmarks.glue import by_pocketnas as way

    with ExitStack() as stack:
        for name, owner, part in (
            ("of", ModelFiles, "convert"),
            ("push", Transport, "push"),
            ("run", AdbDevice, "run"),
        ):
            timed = watch.around(part, getattr(owner, name))
            stack.enter_context(patch.object(owner, name, timed))
        start = time.perf_counter()
        answers = way.latencies(setting.space, points, serial)
        total_s = time.perf_counter() - start
    for answer in answers:
        if isinstance(answer, LatencyFailure):
            say(f"pocketnas: {answer.text}")
    found = [answer if isinstance(answer, LatencyEstimate) else None for answer in answers]
    return Answers(
        latencies_ms=tuple(each.latency_ms if each else None for each in found),
        sessions_ms=tuple(_sessions_ms(each) for each in found),
        unstable=sum(each is not None and each.verdict is Verdict.UNSTABLE for each in found),
        total_s=total_s,
    )


def _sessions_ms(estimate: LatencyEstimate | None) -> tuple[float, ...]:
    if estimate is None or estimate.measurement is None:
        return ()
    return tuple(estimate.measurement.session_values_ms)


def ledger(phone: Phone) -> list[dict[str, list[int]]]:
    """Every run that ended well on a phone, as its tool wrote it down."""
    path = phones_folder() / phone.id / "data/local/tmp/pocketnas/ledger.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@contextmanager
def adb_server(serial: str) -> Iterator[None]:
    """An adb server of this script alone, which has the phone."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with patch.dict(os.environ, {"ANDROID_ADB_SERVER_PORT": port}):
        adb("start-server")
        try:
            adb("connect", serial)
            adb("-s", serial, "wait-for-device")
            yield
        finally:
            adb("kill-server")


def adb(*words: str) -> None:
    """A call of adb; its failure is an error."""
    subprocess.run(["adb", *words], check=True, capture_output=True, timeout=60)


def dropped(start: int) -> Plan:
    """The connection drops once, soon after the given start of the phone's tool."""
    when = When(direction=Direction.UP, packet=start, contains="--graph=", later_s=STRIKES_AFTER_S)
    return Plan(faults=(Fault(kind=FaultKind.DROP, when=when),))


# --- all of it ----------------------------------------------------------------------------------


def candidates(space: MnasNetSpace, count: int) -> list[Decisions]:
    """Seeded random points."""
    rng = random.Random(11)
    return [space.points.sample(rng) for _ in range(count)]


def warm_up(setting: Setting, point: Decisions) -> None:
    """Import everything and convert one network, both ways."""
    from benchmarks.glue import by_parts as way

    architecture = setting.space.decode(point)
    way.convert(architecture.build(way.HEAD), SIZE, setting.folder / "warm.tflite")
    files = ModelFiles(ModelFormat.TFLITE.value, Precision.FP32)
    files.of(NetworkSubject(architecture=architecture, head=Classifier(classes=1000)))


def compared(scale: Scale, folder: Path) -> dict[str, object]:
    """Both ways on one phone, which is brought up."""
    (phone,) = up(1)
    space = MnasNetSpace(size=SIZE)
    setting = Setting(phone=phone, space=space, folder=folder)
    warm, *points = candidates(space, scale.candidates + 1)
    warm_up(setting, warm)
    calm: dict[str, list[Pass]] = {way: [] for way in WAYS}
    for _ in ("first", "second"):
        for way in WAYS:
            calm[way].append(one_pass(way, setting, points, Plan()))
    (folder / "again").mkdir()
    again = Setting(phone=phone, space=space, folder=folder / "again")
    few, plan = points[: scale.disturbed], dropped(scale.struck_start)
    disturbed = {way: one_pass(way, again, few, plan) for way in WAYS}
    texts = {
        way: (Path(__file__).parent / "glue" / name).read_text() for way, name in WAYS.items()
    }
    return {
        **figures(calm, disturbed),
        "lines": by_way(lambda way: code_lines(texts[way])),
        "times": "of this x86 computer: they test the way to a phone, no phone's speed",
    }


def lacking() -> str:
    """What the way by parts lacks here; empty if nothing."""
    for module, extra in (("litert_torch", "litert"), ("optuna", "train")):
        if find_spec(module) is None:
            return f"{module} is not installed: pip install 'pocketnas[{extra}]'"
    return "" if shutil.which("adb") else "adb is not installed: apt-get install adb"


def main() -> None:
    """Print the figures of both ways."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three candidates: some four minutes")
    arguments = parser.parse_args()
    if reason := lacking():
        parser.error(reason)
    root = home() / "loopback"
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "home/loopback").mkdir(parents=True)
        for built in root.glob("root-*"):
            (folder / "home/loopback" / built.name).symlink_to(built.resolve())
        os.environ["POCKETNAS_HOME"] = str(folder / "home")
        began = time.monotonic()
        try:
            result = compared(QUICK if arguments.quick else FULL, folder)
        finally:
            down()
        result["minutes"] = round((time.monotonic() - began) / 60, 1)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
