"""Is a phone ever given to two at once, and how soon is that of a dead holder free?

Threads of several processes fight for the leases of a few phones (names only; no phone is asked
anything). Holders are killed with SIGKILL at random; others are stopped with SIGSTOP for longer
than a lease lives without a heartbeat, and continued.

Double grants are found without looking at the leases' own files, in two ways:

* A holder creates a marker of its phone, which must not be there, unless that of a process that
  was killed, or was stopped since it was made.
* Each holder notes, in the clock that all processes share, when it began each ``require`` that
  succeeded; the first one follows the grant. No two such intervals of a phone may overlap, and of
  two leases of it the later one has the greater token. So a stopped holder that goes on although
  its phone was taken over is a double grant too.

Run: ``python benchmarks/lease_fight.py [--quick]``; one JSON object comes last on stdout.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from devices.device import DeviceBusyError
from devices.leases import Lease, LeaseLostError, lease

PATIENCE_S = 60.0
"""How long a thread waits for a phone; longer is starvation."""

BETWEEN_S = (1.0, 3.0)
"""Between two kills or stops, at random."""

NEVER_NS = 2**63 - 1
"""Later than every moment: of a process that is killed."""


class Fighter:
    """One process: its threads lease phones until the file ``end`` is there."""

    def __init__(self, folder: Path, phones: int, heartbeat_s: float, seed: int) -> None:
        self._folder = folder
        self._phones = phones
        self._heartbeat_s = heartbeat_s
        self._seed = seed
        flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
        self._log = os.open(folder / f"{os.getpid()}.log", flags, 0o600)

    def run(self, threads: int) -> None:
        """Fight with so many threads."""
        started = [threading.Thread(target=self._fight, args=(n,)) for n in range(threads)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()

    def _fight(self, number: int) -> None:
        rng = random.Random(f"{self._seed}/{number}")
        while not (self._folder / "end").exists():
            phone = rng.randrange(self._phones)
            asked_ns = time.monotonic_ns()
            try:
                with lease(
                    f"adb:fight-{phone}", wait_s=PATIENCE_S, heartbeat_s=self._heartbeat_s
                ) as held:
                    self._hold(held, phone, asked_ns, rng)
            except LeaseLostError:
                self._note("lost", phone, 0)
            except DeviceBusyError:
                self._note("starved", phone, 0)

    def _hold(self, held: Lease, phone: int, asked_ns: int, rng: random.Random) -> None:
        granted_ns = time.monotonic_ns()
        held.require()  # it may have been stopped since it was granted, for long enough to lose
        self._note("granted", phone, held.token, str(granted_ns - asked_ns), at_ns=granted_ns)
        marker = self._folder / f"phone-{phone}"
        content = f"{os.getpid()} {held.token} {granted_ns}"
        self._mark(marker, content, phone, held.token, granted_ns)
        for _ in range(rng.randrange(1, 4)):
            time.sleep(0.5 if rng.random() < 0.01 else rng.random() * 0.01)
            before_ns = time.monotonic_ns()
            held.require()
            self._note("held", phone, held.token, at_ns=before_ns)
        with suppress(FileNotFoundError):
            if marker.read_text() == content:
                marker.unlink()
        self._note("ended", phone, held.token)

    def _mark(self, marker: Path, content: str, phone: int, token: int, granted_ns: int) -> None:
        """Create the marker; one that is there must be of a process that came to harm since.

        Or this one was stopped between its grant and here: then ``require`` has to find out, which
        the intervals show.
        """
        new = marker.with_name(f"{marker.name}.{token}")
        new.write_text(content)
        try:
            os.link(new, marker)
        except FileExistsError:
            with suppress(FileNotFoundError):
                pid, _, since_ns = marker.read_text().split()
                harmed = self._was_harmed(int(pid), int(since_ns))
                if not harmed and not self._was_harmed(os.getpid(), granted_ns):
                    self._note("doubled", phone, token)
            new.replace(marker)
        else:
            new.unlink()

    def _was_harmed(self, pid: int, since_ns: int) -> bool:
        lines = (self._folder / "harm").read_text().splitlines()
        harms = (line.split() for line in lines)
        return any(int(who) == pid and int(until_ns) >= since_ns for who, until_ns in harms)

    def _note(self, what: str, phone: int, token: int, more: str = "", at_ns: int = 0) -> None:
        line = f"{what} {phone} {token} {at_ns or time.monotonic_ns()} {more or 0}\n"
        os.write(self._log, line.encode())


@dataclass(slots=True, kw_only=True)
class Span:
    """One lease as its holder noted it."""

    pid: int
    token: int
    start_ns: int
    last_ns: int
    ended: bool = False


@dataclass(slots=True, kw_only=True)
class Account:
    """What all processes noted."""

    spans: dict[int, list[Span]] = field(default_factory=lambda: defaultdict(list))
    doubled: int = 0
    lost: int = 0
    starved: int = 0
    longest_wait_s: float = 0.0

    def read(self, pid: int, lines: Iterable[str]) -> None:
        """Add one process's notes; a killed one's last line may be cut off."""
        open_spans: dict[tuple[int, int], Span] = {}
        for line in lines:
            if not line.endswith("\n"):
                continue
            what, phone_text, token_text, at_text, more = line.split()
            phone, token, at_ns = int(phone_text), int(token_text), int(at_text)
            match what:
                case "granted":
                    span = Span(pid=pid, token=token, start_ns=at_ns, last_ns=at_ns)
                    open_spans[phone, token] = span
                    self.spans[phone].append(span)
                    self.longest_wait_s = max(self.longest_wait_s, int(more) / 1e9)
                case "held":
                    open_spans[phone, token].last_ns = at_ns
                case "ended":
                    open_spans[phone, token].ended = True
                case "doubled":
                    self.doubled += 1
                case "lost":
                    self.lost += 1
                case "starved":
                    self.starved += 1

    def overlaps(self) -> int:
        """Leases of a phone that were held while another one was, or have too small a token."""
        found = 0
        for spans in self.spans.values():
            spans.sort(key=lambda span: span.start_ns)
            end_ns, token = -1, -1
            for span in spans:
                found += span.start_ns <= end_ns or span.token <= token
                end_ns, token = max(end_ns, span.last_ns), max(token, span.token)
        return found

    def releases_s(self, pid: int, harmed_ns: int) -> list[float]:
        """How long after its harm each phone that a process had was someone else's."""
        found = []
        for spans in self.spans.values():
            for span, following in itertools.pairwise(spans):
                if span.pid == pid and not span.ended and span.start_ns <= harmed_ns:
                    found.append((following.start_ns - harmed_ns) / 1e9)
        return found


class Arena:
    """Starts fighters, harms them, and counts."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self._folder = folder
        self._arguments = arguments
        self._rng = random.Random(arguments.seed)
        self._started = 0
        self._harms: list[tuple[str, int, int]] = []
        (folder / "harm").touch()

    def run(self) -> None:
        """Let them fight; none is left at the end."""
        fighters = [self._start() for _ in range(self._arguments.processes)]
        deadline_s = time.monotonic() + self._arguments.seconds
        try:
            while (left_s := deadline_s - time.monotonic()) > 0:
                time.sleep(min(left_s, self._rng.uniform(*BETWEEN_S)))
                victim = self._victim()
                fighters = [each for each in fighters if not self._is_killed(each, victim)]
                missing = self._arguments.processes - len(fighters)
                fighters += [self._start() for _ in range(missing)]
            (self._folder / "end").touch()
            for fighter in fighters:
                if fighter.wait(2 * PATIENCE_S) != 0:
                    raise subprocess.CalledProcessError(fighter.returncode, fighter.args)
        finally:
            for fighter in fighters:
                fighter.kill()
                fighter.wait()

    def account(self) -> dict[str, object]:
        """The keys of the result."""
        account = Account()
        for path in self._folder.glob("*.log"):
            with path.open() as lines:
                account.read(int(path.stem), lines)
        overlaps = account.overlaps()
        after = {
            kind: [
                seconds
                for how, pid, at_ns in self._harms
                if how == kind
                for seconds in account.releases_s(pid, at_ns)
            ]
            for kind in ("kill", "stop")
        }
        return {
            "grants": sum(map(len, account.spans.values())),
            "double_grants": account.doubled + overlaps,
            "by_markers": account.doubled,
            "by_intervals": overlaps,
            "kills": sum(kind == "kill" for kind, *_ in self._harms),
            "killed_while_holding": len(after["kill"]),
            "slowest_release_s": round(max(after["kill"], default=0.0), 3),
            "stops": sum(kind == "stop" for kind, *_ in self._harms),
            "stopped_while_holding": len(after["stop"]),
            "slowest_takeover_s": round(max(after["stop"], default=0.0), 3),
            "fenced": account.lost,
            "starved": account.starved,
            "longest_wait_s": round(account.longest_wait_s, 3),
            "heartbeat_s": self._arguments.heartbeat_s,
        }

    def _start(self) -> subprocess.Popen[bytes]:
        self._started += 1
        of = self._arguments
        command = [sys.executable, __file__, f"--child={self._folder}"]
        command += [f"--threads={of.threads}", f"--phones={of.phones}"]
        command += [f"--heartbeat-s={of.heartbeat_s}", f"--seed={1000 * of.seed + self._started}"]
        environment = {**os.environ, "POCKETNAS_HOME": str(self._folder / "home")}
        return subprocess.Popen(command, env=environment)

    def _is_killed(self, fighter: subprocess.Popen[bytes], victim: int) -> bool:
        """Kill or stop the process if it is the victim; whether it was killed."""
        if fighter.pid != victim:
            return False
        kind = "stop" if self._rng.random() < 0.3 else "kill"
        at_ns = time.monotonic_ns()
        if kind == "kill":
            self._note_harm(fighter.pid, NEVER_NS)  # others may have its phones at once
            fighter.kill()
            fighter.wait()
        else:
            self._note_harm(fighter.pid, at_ns)
            fighter.send_signal(signal.SIGSTOP)
            self._note_harm(fighter.pid, time.monotonic_ns())  # it may have got one meanwhile
            time.sleep(2.5 * self._arguments.heartbeat_s)
            fighter.send_signal(signal.SIGCONT)
        self._harms.append((kind, fighter.pid, at_ns))
        return kind == "kill"

    def _note_harm(self, pid: int, until_ns: int) -> None:
        """What the process was granted before then may be someone else's without its consent."""
        with (self._folder / "harm").open("a") as file:
            file.write(f"{pid} {until_ns}\n")

    def _victim(self) -> int:
        """Who has a phone drawn by lot, once somebody has.

        Raises:
            TimeoutError: If nobody takes it.
        """
        marker = self._folder / f"phone-{self._rng.randrange(self._arguments.phones)}"
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            with suppress(FileNotFoundError):
                pid, _, _ = marker.read_text().split()
                return int(pid)
            time.sleep(0.001)
        msg = f"nobody took {marker.name} within {PATIENCE_S:g} s"
        raise TimeoutError(msg)


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--threads", type=int, default=8, help="of each process (8)")
    parser.add_argument("--phones", type=int, default=4)
    parser.add_argument("--seconds", type=float, help="(300)")
    parser.add_argument("--heartbeat-s", type=float, help="(2; 0.5 with --quick)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--quick", action="store_true", help="20 seconds unless --seconds is given"
    )
    parser.add_argument("--child", type=Path, help="be one of the processes, in this folder")
    arguments = parser.parse_args()
    arguments.seconds = arguments.seconds or (20.0 if arguments.quick else 300.0)
    arguments.heartbeat_s = arguments.heartbeat_s or (0.5 if arguments.quick else 2.0)
    if arguments.child is not None:
        fighter = Fighter(arguments.child, arguments.phones, arguments.heartbeat_s, arguments.seed)
        fighter.run(arguments.threads)
        return
    with tempfile.TemporaryDirectory() as folder:
        arena = Arena(Path(folder), arguments)
        arena.run()
        settings = ("processes", "threads", "phones", "seconds", "seed")
        told = {name: getattr(arguments, name) for name in settings}
        print(json.dumps({**told, **arena.account()}))


if __name__ == "__main__":
    main()
