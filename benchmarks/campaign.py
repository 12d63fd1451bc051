"""A campaign of measurements on phones where everything goes wrong that can.

Loopback phones (real adbd, a ``benchmark_model`` stand-in that really runs the file), each behind
a fault proxy, are measured with preset ``quick`` by workers that are killed now and then. Faults,
seeded: connections dropped, stalled, delayed, cut and corrupted in mid-push, mid-run and
mid-answer; reboots; a full disk; the runner killed after its warm-up line, its output garbled,
cut, or a megabyte long; an ignored flag; a file corrupted on the phone; thermal status and
battery; late in the campaign one phone that is unplugged for good and one whose owner withdraws
the key. One phone's runner always prints percentiles and scientific notation.

What is checked does not come from the product: each phone's runner keeps a ledger of every run,
and every stored session must equal one entry of its file, each used once. The faults of the runner
come from a wrapper on the phone that says so in its output.

Run: ``python benchmarks/campaign.py [--quick] [--jobs N]``; one JSON object comes last on stdout.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import queue
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

from controller.evaluation import LATENCY_TRIES
from devices.adb import AdbDevice
from devices.device import DeviceBusyError, DeviceError, RunSettings, RunSummary
from devices.fault_plan import (
    MID_ANSWER,
    MID_PUSH,
    MID_RUN,
    PASSING,
    Fault,
    FaultKind,
    Plan,
)
from devices.fault_proxy import FaultProxy
from devices.loopback.phone import down, up
from devices.loopback.state import Phone, phones_folder
from devices.pool import lease
from devices.transport import open_transport
from exporters.tflite_file import read
from latency.chains import equal_blocks
from latency.measurement import LatencyMeasurement
from latency.source import (
    FileSubject,
    LatencyFailure,
    LatencyRequest,
    LatencySource,
    SourceSettings,
    create,
)
from latency.store import MeasurementStore, StoreError, identity_of
from workspace.errors import InputError, OperationError
from workspace.home import home

SCENARIO = """version = 1
about = "a phone that hardly heats, for campaigns of many short runs"

[thermal]
heating_c_per_s = 0.01
"""

WRAPPER = '''#!/usr/bin/python3 -IS
"""A fault wrapper around the stand-in for benchmark_model; it says so in what it prints."""
import json, os, re, subprocess, sys
folder = os.path.dirname(os.path.abspath(__file__))
program, fault = os.path.join(folder, "benchmark_model.real"), ""
if any(word.startswith("--graph=") for word in sys.argv):
    try:
        os.rename(os.path.join(folder, "fault"), os.path.join(folder, "fault.taken"))
        fault = open(os.path.join(folder, "fault.taken")).read().strip()
    except OSError:
        pass
done = subprocess.run([program, *sys.argv[1:]], capture_output=True, text=True)
out, err, code = done.stdout, done.stderr, done.returncode
say = "INFO: POCKETNAS STAND-IN: fault wrapper of the campaign, " + (fault or "no fault") + "\\n"

def newer(match, times):
    ordered = sorted(times)
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))]
    line = re.sub(r"avg=([0-9.e+]+)", lambda m: "avg=%.5e" % float(m[1]), match[0])
    return line + " p5=%d median=%d p95=%d" % (at(0.05), at(0.5), at(0.95))

if "@NEWER@" == "yes" and code == 0 and "count=" in out:
    last = json.loads(open(os.path.join(folder, "ledger.jsonl")).read().splitlines()[-1])
    series = iter([last["warmup_us"], last["timed_us"]])
    pattern = r"(?m)^INFO: count=[0-9]+ first=.*$"
    lines = re.findall(pattern, out)
    if len(lines) == 2:
        out = re.sub(pattern, lambda match: newer(match, next(series)), out)
marks = [m.end() for m in re.finditer(r"(?m)^INFO: count=.*$", out)]
if fault == "killed-after-warm-up" and marks:
    sys.stdout.write(out[: marks[0] + 1])
    sys.stdout.flush()
    os.kill(os.getpid(), 9)
if fault == "garbled" and marks:
    out = out.replace("count=", "cou\\x00nt?", 1)
if fault == "cut":
    out = out[: len(out) * 2 // 3]
if fault == "megabytes":
    err += "ERROR: node 7 failed to prepare; " * 60000 + "\\n"
if fault == "ignored-flag":
    ignored = "INFO: STARTING!\\nWARN: Unconsumed cmdline flags: --num_threads=1"
    out = out.replace("INFO: STARTING!", ignored, 1)
out = out.replace("INFO: STARTING!\\n", "INFO: STARTING!\\n" + say, 1)
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
'''

RUNNER_FAULTS = ("killed-after-warm-up", "garbled", "cut", "megabytes", "ignored-flag")
PHONE_FAULTS = ("reboot", "disk-full", "file-corrupted", "thermal-status", "battery-low")
FOLDER = "data/local/tmp/pocketnas"
NOT_KEPT = "lost: it was answered and is not in the store"

DEADLINE_S = 300.0
"""Of a job, from being given to a worker to its answer: four attempts at a phone that reboots."""

AGAIN_S = 120.0
"""Of a job, after which what failed is not tried again."""

FAULT_EACH_S, CUT_EACH_S = 7.0, 35.0
"""Between two faults of any phone, and between two of one phone's connection, on average."""

LEAST_RIGHT = 1 / 3
"""Of all measurements: a phone is gone for good in mid-campaign, and one is locked."""

DISK_MB = 64
"""Of a phone's disk for models."""

FILES = 24
"""Different models; each is measured many times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One measurement to make."""

    index: int
    device: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of it."""

    index: int
    right: bool
    text: str
    identity: str = ""


@dataclass(slots=True)
class Worker:
    """A process that measures, and what it is at."""

    process: BaseProcess
    todo: multiprocessing.Queue[Job | None]
    job: Job | None = None
    since_s: float = 0.0


@dataclass(slots=True)
class Campaign:
    """Everything that is known while it runs."""

    phones: tuple[Phone, ...]
    proxies: list[FaultProxy]
    rng: random.Random
    jobs: list[Job]
    answers: dict[int, Answer] = field(default_factory=dict)
    doubled_answers: int = 0
    hung: int = 0
    kills: int = 0
    injected: Counter[str] = field(default_factory=Counter)
    dead: set[str] = field(default_factory=set)


# --- the workers --------------------------------------------------------------------------------


Sources = dict[str, LatencySource]


def work(todo: multiprocessing.Queue[Job | None], done: multiprocessing.Queue[Answer]) -> None:
    """Measure jobs through the product's own sources, kept open, until there are no more."""
    sources: Sources = {}
    while (job := todo.get()) is not None:
        done.put(measured(job, sources))
    for source in sources.values():
        source.close()


def measured(job: Job, sources: Sources) -> Answer:
    """One job, as a search has it measured: what may succeed later is tried again."""
    subject = FileSubject(artifact=read(Path(job.path)))
    request = LatencyRequest(id=str(job.index), subject=subject, preset="quick")
    until_s = time.monotonic() + AGAIN_S
    for left in reversed(range(LATENCY_TRIES)):
        may_help = left and time.monotonic() < until_s
        try:
            if job.device not in sources:
                settings = SourceSettings(reuse=False, timeout_s=20.0)
                sources[job.device] = create(job.device, settings)
            (answer,) = sources[job.device].estimate([request])
        except (InputError, OperationError) as error:
            failed = Answer(index=job.index, right=False, text=f"{type(error).__name__}: {error}")
            if not may_help:
                return failed
            time.sleep(2.0)
            continue
        if not (may_help and isinstance(answer, LatencyFailure) and answer.retryable):
            break
    if isinstance(answer, LatencyFailure):
        return Answer(index=job.index, right=False, text=answer.text)
    if answer.measurement is None:
        return Answer(index=job.index, right=False, text="a number without a measurement")
    identity = identity_of(answer.measurement)
    try:
        MeasurementStore.shared().get(identity)
    except StoreError as error:
        return Answer(index=job.index, right=False, text=f"{NOT_KEPT}: {error}")
    return Answer(index=job.index, right=True, text="", identity=identity)


# --- faults -------------------------------------------------------------------------------------


def connection_plan(seed: int, seconds: float, each_s: float) -> Plan:
    """Connection faults of every kind, at seeded times."""
    rng = random.Random(seed)
    faults, at_s = [], 0.0
    while (at_s := at_s + rng.expovariate(1 / each_s)) < seconds:
        kind = rng.choice(PASSING)
        when = replace(rng.choice((MID_PUSH, MID_RUN, MID_ANSWER)), after_s=at_s)
        lasting = rng.uniform(1, 30) if kind in (FaultKind.STALL, FaultKind.DELAY) else 1.0
        faults.append(Fault(kind=kind, when=when, seconds=lasting))
    return Plan(faults=tuple(faults), seed=seed)


def on_host(phone: Phone) -> Path:
    """The phone's ``/data`` seen from this computer."""
    return phones_folder() / phone.id


def install_wrapper(phone: Phone, *, newer: bool) -> None:
    """Put the fault wrapper before the phone's runner."""
    folder = on_host(phone) / FOLDER
    program = folder / "benchmark_model"
    program.rename(folder / "benchmark_model.real")
    program.write_text(WRAPPER.replace("@NEWER@", "yes" if newer else "no"))
    program.chmod(0o755)


def strike(campaign: Campaign, phone: Phone, kind: str) -> None:
    """Let something go wrong on a phone, and right again later where it would."""
    folder = on_host(phone) / FOLDER
    campaign.injected[kind] += 1
    match kind:
        case "reboot":
            in_shell(phone, "(sleep 0.2; reboot) >/dev/null 2>&1 &")
        case "disk-full":
            fill(phone)
            later(3.0, lambda: free(phone))
        case "file-corrupted":
            corrupt(models_of(phone), campaign.rng)
        case "thermal-status":
            in_shell(phone, "cmd thermalservice override-status 2")
            later(4.0, lambda: in_shell(phone, "cmd thermalservice reset"))
        case "battery-low":
            in_shell(phone, "dumpsys battery set level 9")
            later(3.0, lambda: in_shell(phone, "dumpsys battery reset"))
        case _:
            (folder / "fault").write_text(kind)


def corrupt(models: Path, rng: random.Random) -> None:
    """Another byte in one of the models on the phone."""
    there = sorted(models.glob("*.tflite"))
    if there:
        path = rng.choice(there)
        with suppress(OSError), path.open("r+b") as file:
            file.seek(rng.randrange(path.stat().st_size // 2, path.stat().st_size))
            file.write(b"\x5a")


def models_of(phone: Phone) -> Path:
    """The phone's models, a small disk of their own, seen from this computer."""
    return Path(f"/proc/{phone.pid}/root/{FOLDER}/models")


def give_disk(phone: Phone) -> None:
    """A disk for the phone's models that is small enough to be filled."""
    models_of(phone).mkdir(exist_ok=True)
    size = f"size={DISK_MB}m,mode=777"
    words = ("mount", "-t", "tmpfs", "-o", size, "tmpfs", f"/{FOLDER}/models")
    subprocess.run(["nsenter", f"--target={phone.pid}", "--mount", *words], check=True, timeout=20)


def fill(phone: Phone) -> None:
    """Write into the phone's disk until it is full."""
    with suppress(OSError), (models_of(phone) / "filler").open("wb") as file:
        while True:
            file.write(bytes(1 << 16))
            file.flush()


def free(phone: Phone) -> None:
    """Give the phone's disk back."""
    with suppress(OSError):
        (models_of(phone) / "filler").unlink()


def in_shell(phone: Phone, text: str) -> None:
    """A command on the phone, past the proxy; a phone that is down misses it."""
    with suppress(DeviceError, InputError):
        transport = open_transport("adb:campaign", phone.serial, connect_s=3.0)
        try:
            transport.script(text, 5.0)
        finally:
            transport.close()


def later(seconds: float, act: Callable[[], None]) -> None:
    """Do something after a while, beside everything else."""
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()


def trouble(campaign: Campaign, stop: threading.Event, each_s: float) -> None:
    """Strike phones at random until told to stop; the last phones for good, late."""
    kinds = [*RUNNER_FAULTS, *PHONE_FAULTS]
    while not stop.wait(campaign.rng.uniform(0.3, 1.7) * each_s):
        done = len(campaign.answers) / len(campaign.jobs)
        if done > 0.85:
            for_good(campaign)
        alive = [p for p in campaign.phones if p.serial not in campaign.dead]
        strike(campaign, campaign.rng.choice(alive), kinds[sum(campaign.injected.values()) % 10])


def for_good(campaign: Campaign) -> None:
    """The last phone is unplugged, the one before it withdraws the key; once."""
    if campaign.dead or len(campaign.phones) < 2:
        return
    for proxy, phone, kind in zip(
        campaign.proxies[::-1],
        campaign.phones[::-1],
        (FaultKind.UNPLUG, FaultKind.UNAUTHORIZE)[: len(campaign.phones) - 1],
        strict=False,
    ):
        proxy.inject(Fault(kind=kind))
        campaign.dead.add(phone.serial)
        campaign.injected[f"{kind}-for-good"] += 1


# --- the campaign -------------------------------------------------------------------------------


def run(campaign: Campaign, workers: int, kill_each_s: float) -> None:
    """Give jobs to workers, kill one now and then, and collect the answers."""
    context = multiprocessing.get_context("spawn")
    done: multiprocessing.Queue[Answer] = context.Queue()
    crew = [_hired(context, done) for _ in range(workers)]
    waiting = list(reversed(campaign.jobs))
    next_kill_s = time.monotonic() + kill_each_s
    while len(campaign.answers) < len(campaign.jobs):
        for worker in crew:
            if worker.job is None and waiting:
                worker.job, worker.since_s = waiting.pop(), time.monotonic()
                worker.todo.put(worker.job)
        with suppress(queue.Empty):
            _take(campaign, crew, done.get(timeout=0.2))
        for number, worker in enumerate(crew):
            late = worker.job and time.monotonic() - worker.since_s > DEADLINE_S
            campaign.hung += bool(late)
            if late or (time.monotonic() > next_kill_s and number == campaign.kills % workers):
                next_kill_s = time.monotonic() + kill_each_s
                campaign.kills += not late
                crew[number] = _replaced(context, done, worker, waiting, campaign)
    for worker in crew:
        worker.todo.put(None)
        worker.process.join(20)


def _hired(
    context: multiprocessing.context.SpawnContext, done: multiprocessing.Queue[Answer]
) -> Worker:
    todo: multiprocessing.Queue[Job | None] = context.Queue()
    process = context.Process(target=work, args=(todo, done), daemon=True)
    process.start()
    return Worker(process=process, todo=todo)


def _replaced(
    context: multiprocessing.context.SpawnContext,
    done: multiprocessing.Queue[Answer],
    worker: Worker,
    waiting: list[Job],
    campaign: Campaign,
) -> Worker:
    """Another worker for one that is killed; its job is done again unless it was answered."""
    if worker.process.pid is not None:
        os.kill(worker.process.pid, signal.SIGKILL)
    worker.process.join(10)
    with suppress(queue.Empty):
        while True:
            _take(campaign, [worker], done.get(timeout=0.3))
    if worker.job is not None and worker.job.index not in campaign.answers:
        waiting.append(worker.job)
    return _hired(context, done)


def _take(campaign: Campaign, crew: list[Worker], answer: Answer) -> None:
    campaign.doubled_answers += answer.index in campaign.answers
    campaign.answers[answer.index] = answer
    if not answer.right:
        sys.stderr.write(f"job {answer.index}: {' '.join(answer.text.split())[:400]}\n")
    for worker in crew:
        if worker.job is not None and worker.job.index == answer.index:
            worker.job = None
    if len(campaign.answers) % 25 == 0:
        sys.stderr.write(
            f"{time.strftime('%H:%M:%S')} {len(campaign.answers)} of {len(campaign.jobs)}\n"
        )


# --- the check ----------------------------------------------------------------------------------


def ledger(phone: Phone) -> list[dict[str, object]]:
    """Every run of a phone that the runner itself wrote down."""
    path = on_host(phone) / FOLDER / "ledger.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def matches(summary: RunSummary, entry: dict[str, object], flags: Sequence[str]) -> bool:
    """Whether a stored session is what this run took, to the six digits that are printed.

    Args:
        summary: Of the session.
        entry: Of a phone's ledger.
        flags: That the run must have been given.
    """
    if not set(flags) <= set(entry["arguments"]):  # type: ignore[call-overload]
        return False
    times = [float(t) / 1e3 for t in entry["timed_us"]]  # type: ignore[attr-defined]
    mean = statistics.fmean(times)
    return (
        summary.count == len(times)
        and abs(summary.min_ms - min(times)) < 1e-9
        and abs(summary.max_ms - max(times)) < 1e-9
        and abs(summary.mean_ms - mean) <= 6e-6 * mean
    )


def check(
    found: list[LatencyMeasurement], ledgers: dict[str, list[dict[str, object]]]
) -> tuple[int, int]:
    """Sessions without a ledger entry of their file on their phone, and those used twice."""
    free = {unit: list(entries) for unit, entries in ledgers.items()}
    wrong = doubled = 0
    for measurement in found:
        unit = measurement.conditions.setup.info.unit
        for session in measurement.sessions:
            if not isinstance(session.samples, RunSummary):
                wrong += 1
                continue
            entry = _entry(free.get(unit, []), measurement, session.samples)
            if entry is not None:
                free[unit].remove(entry)
            elif _entry(ledgers.get(unit, []), measurement, session.samples):
                doubled += 1
            else:
                wrong += 1
    return wrong, doubled


def _entry(
    entries: list[dict[str, object]], measurement: LatencyMeasurement, summary: RunSummary
) -> dict[str, object] | None:
    """The entry of the file that was run with the measurement's flags and took just that."""
    sha256, protocol = measurement.artifact_sha256, measurement.protocol
    flags = (
        f"--num_threads={measurement.conditions.setup.threads}",
        f"--num_runs={protocol.timed_runs}",
        f"--min_secs={protocol.timed_min_s:g}",
    )
    return next((e for e in entries if e["sha256"] == sha256 and matches(summary, e, flags)), None)


def settings_of(phone: Phone) -> dict[str, object]:
    """The phone's settings, as it keeps them; without what faults may have left."""
    path = on_host(phone) / "data/pocketnas/settings.json"
    found: dict[str, object] = json.loads(path.read_text()) if path.exists() else {}
    return found


def changed(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """The settings that are not as before; none is right."""
    return sorted(k for k in {**before, **after} if before.get(k) != after.get(k))


def next_start(phone: Phone, proxy: FaultProxy) -> None:
    """Whoever uses the phone next puts back what a killed worker had changed."""
    in_shell(phone, "dumpsys battery reset; cmd thermalservice reset")
    with suppress(DeviceError, InputError):
        device = AdbDevice(proxy.serial)
        with lease(device.id, wait_s=10.0), device.hold(RunSettings()):
            pass
        device.close()


def stored() -> list[LatencyMeasurement]:
    """Every measurement in the store of the campaign."""
    from sqlalchemy import select

    from latency.schema import MEASUREMENT

    store = MeasurementStore.shared()
    with store.engine.connect() as connection:
        identities = list(connection.execute(select(MEASUREMENT.c.id)).scalars())
    return [store.get(identity) for identity in identities]


def leases_free(devices: list[str]) -> bool:
    """Whether nobody holds any of the phones."""
    try:
        for device in devices:
            with lease(device, wait_s=5.0):
                pass
    except DeviceBusyError:
        return False
    return True


def reason(text: str) -> str:
    """A failure's kind, for counting."""
    kinds = {
        "has 0 MB left": "disk full",
        "No space left": "disk full",
        "not authorised": "key not authorised",
        "gone": "phone gone",
        "ignored": "ignored flag",
        "come back": "phone gone",
        "thermal status": "hot",
        "charge it": "battery low",
        "connection": "connection",
        "ended with": "runner ended",
    }
    return next((kind for words, kind in kinds.items() if words in text), text[:60])


# --- all of it ----------------------------------------------------------------------------------


def measure_all(jobs: int, phones: int, seed: int) -> dict[str, object]:
    """Bring phones up, run the campaign, take its figures."""
    scenario = home() / "campaign.toml"
    scenario.write_text(SCENARIO)
    up_now = up(phones, scenario=str(scenario))
    for number, phone in enumerate(up_now):
        install_wrapper(phone, newer=number == 1)
        give_disk(phone)
    rng = random.Random(seed)
    began = time.monotonic()
    proxies = [
        FaultProxy(phone.serial, connection_plan(seed + number, 3600, CUT_EACH_S)).__enter__()
        for number, phone in enumerate(up_now)
    ]
    try:
        devices = [f"adb:{proxy.serial}" for proxy in proxies]
        files = [
            equal_blocks(home() / "models", blocks=1 + n % 4, channels=8 * (1 + n % 16), size=8)
            for n in range(FILES - 2)
        ]
        files += [equal_blocks(home() / "models", blocks=b, channels=768, size=4) for b in (3, 5)]
        made = [
            Job(index=i, device=rng.choice(devices), path=str(rng.choice(files).path))
            for i in range(jobs)
        ]
        before = {}
        for phone in up_now:
            in_shell(phone, "settings put global window_animation_scale 1.0")
            before[phone.serial] = settings_of(phone)
        campaign = Campaign(phones=up_now, proxies=proxies, rng=rng, jobs=made)
        stop = threading.Event()
        troubles = threading.Thread(
            target=trouble, args=(campaign, stop, FAULT_EACH_S), daemon=True
        )
        troubles.start()
        run(campaign, workers=2 * phones, kill_each_s=45.0)
        stop.set()
        troubles.join(30)
        minutes = (time.monotonic() - began) / 60
        time.sleep(10)  # what was struck last is right again
        for phone in up_now:
            if phone.serial not in campaign.dead:
                next_start(phone, proxies[up_now.index(phone)])
        return _figures(campaign, before, minutes, devices)
    finally:
        for proxy in proxies:
            proxy.__exit__(None, None, None)


def _figures(
    campaign: Campaign,
    before: dict[str, dict[str, object]],
    minutes: float,
    devices: list[str],
) -> dict[str, object]:
    answers = campaign.answers.values()
    found = stored()
    ledgers = {phone.unit: ledger(phone) for phone in campaign.phones}
    wrong, doubled = check(found, ledgers)
    alive = [phone for phone in campaign.phones if phone.serial not in campaign.dead]
    proxies = Counter(
        str(struck.fault.kind) for proxy in campaign.proxies for struck in proxy.counters.faults
    )
    identities = [answer.identity for answer in answers if answer.right]
    return {
        "stand_ins": "loopback phones and a fault wrapper; no phone was timed",
        "measurements": len(campaign.jobs),
        "right": len(identities),
        "failed_stated": dict(Counter(reason(a.text) for a in answers if not a.right)),
        "lost": len(campaign.jobs)
        - len(campaign.answers)
        + sum(answer.text.startswith(NOT_KEPT) for answer in answers),
        "doubled": doubled + campaign.doubled_answers + len(identities) - len(set(identities)),
        "wrong": wrong,
        "hung": campaign.hung,
        "killed_workers": campaign.kills,
        "sessions_checked": sum(len(m.sessions) for m in found),
        "ledger_entries": sum(len(entries) for entries in ledgers.values()),
        "faults": dict(campaign.injected),
        "connection_faults": dict(proxies),
        "settings_changed": {p.serial: changed(before[p.serial], settings_of(p)) for p in alive},
        "settings_not_put_back": sum(
            bool(changed(before[p.serial], settings_of(p))) for p in alive
        ),
        "leases_free": leases_free(devices),
        "minutes": round(minutes, 1),
        "deadline_s": DEADLINE_S,
    }


def main() -> None:
    """Print the figures; exit code 1 if anything is wrong, lost, doubled, hung or not put back.

    Exit code 1 also if under a third are right: stated failures alone show nothing.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="40 measurements on two phones")
    parser.add_argument("--jobs", type=int, help="how many measurements")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    jobs = arguments.jobs or (40 if arguments.quick else 500)
    root = home() / "loopback"
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text) / "home"
        (folder / "loopback").mkdir(parents=True)
        for built in root.glob("root-*"):
            (folder / "loopback" / built.name).symlink_to(built.resolve())
        os.environ["POCKETNAS_HOME"] = str(folder)
        try:
            result = measure_all(jobs, 2 if arguments.quick else 4, arguments.seed)
        finally:
            down()
    sys.stdout.write(json.dumps(result) + "\n")
    names = ("lost", "doubled", "wrong", "hung", "settings_not_put_back")
    few = LEAST_RIGHT * jobs > float(str(result["right"]))
    if any(result[name] for name in names) or few or not result["leases_free"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
