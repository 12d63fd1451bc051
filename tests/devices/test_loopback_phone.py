"""Loopback phones for real: brought up, reached over adb, and gone without a trace."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from devices.device import RunSettings
from devices.loopback import network, processes, state
from devices.loopback.phone import STAND_IN, down, up
from devices.runners import Dialect, arguments, parse, stand_in_of
from workspace.errors import InputError, OperationError

pytestmark = pytest.mark.loopback

IN_BACKGROUND = "setsid sleep 1000 >/dev/null 2>&1 </dev/null & sleep 0.2"
"""A process that outlives its shell, given the time to leave the shell's session."""

RUNNER = "/data/local/tmp/pocketnas/benchmark_model"


def connect(phone):
    from adb_shell.adb_device import AdbDeviceTcp

    host, _, port = phone.serial.rpartition(":")
    device = AdbDeviceTcp(host, int(port), default_transport_timeout_s=30.0)
    device.connect()
    return device


def on(phone, command):
    device = connect(phone)
    try:
        return device.shell(command, read_timeout_s=60.0, transport_timeout_s=60.0)
    finally:
        device.close()


class Traces:
    """What certain phones have on this computer; others may come and go meanwhile."""

    def __init__(self, ids):
        self.ids = frozenset(ids)
        first = [pid for phone_id in self.ids if (pid := processes.first_process(phone_id))]
        self.namespaces = frozenset().union(*(namespaces(pid) for pid in first)) - namespaces(1)
        self.processes = {
            process for process in living() if self.namespaces & namespaces(process[0])
        }

    def left(self):
        """What is still there of them, for an error message; empty if nothing."""
        found = [f"box of {phone_id}" for phone_id in self.ids & processes.alive()]
        found += [f"process {pid} {name}" for pid, name, _ in self.processes & set(living())]
        hardware = {network.hardware_address(phone_id) for phone_id in self.ids}
        found += [f"link {link['ifname']}" for link in links() if link["address"] in hardware]
        found += [f"mount {where}" for where in mounts() if any(i in where for i in self.ids)]
        return found + [f"file {phone_id}" for phone_id in self.ids & state.known_ids()]


def living():
    """Number, name and start of each process that runs; zombies are but exit codes."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            fields = rest.split()
            if fields[0] not in "ZX":
                yield int(entry.name), name, fields[19]


def namespaces(pid):
    found = set()
    for kind in ("net", "mnt", "pid", "uts", "ipc"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
    return frozenset(found)


def links():
    return json.loads(subprocess.check_output(["ip", "-json", "link", "show", "type", "veth"]))


def mounts():
    return {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def test_a_phone_says_that_it_is_none_and_runs_commands_without_rights(loopback_phones):
    (phone,) = loopback_phones(1)
    identity = json.loads(on(phone, "cat /etc/pocketnas-loopback"))
    assert identity["stand_in"] == STAND_IN
    assert identity["unit"] == phone.unit
    assert on(phone, "id -un").strip() == "shell"
    assert on(phone, "grep CapBnd /proc/self/status").split() == ["CapBnd:", "0" * 16]
    assert "Read-only file system" in on(phone, "touch /etc/x 2>&1")
    for program in ("taskset", "sha256sum", "timeout"):
        assert on(phone, f"which {program}").strip() == f"/usr/bin/{program}"


def test_a_file_is_pushed_and_timed_by_the_stand_in(loopback_phones, tiny_model):
    (phone,) = loopback_phones(1)
    device = connect(phone)
    device.push(str(tiny_model), "/data/local/tmp/tiny.tflite")
    device.close()
    settings = RunSettings(warmup_runs=2, warmup_min_s=0, timed_runs=30, timed_min_s=0)
    asked = arguments(Dialect.TFLITE, "/data/local/tmp/tiny.tflite", settings)
    said = on(phone, f"taskset -c 0 {RUNNER} {' '.join(asked)} 2>/dev/null; echo exit=$?")
    assert said.endswith("exit=0\n")
    parsed = parse(Dialect.TFLITE, asked, said, "")
    assert parsed.summary.count == 30
    assert "not Google's binary" in stand_in_of(said)
    entry = json.loads(on(phone, "cat /data/local/tmp/pocketnas/ledger.jsonl"))
    assert parsed.summary.min_ms == min(entry["timed_us"]) / 1e3


def test_the_stand_in_starts_in_less_than_half_a_second(loopback_phones, tiny_model):
    (phone,) = loopback_phones(1)
    (state.phones_folder() / phone.id / "data/local/tmp/m.tflite").write_bytes(
        tiny_model.read_bytes()
    )
    flags = "--graph=/data/local/tmp/m.tflite --num_runs=1 --min_secs=0 --warmup_runs=0 "
    best_s = 60.0
    for _ in range(5):
        start = time.monotonic()
        said = on(phone, f"{RUNNER} {flags} --warmup_min_secs=0")
        best_s = min(best_s, time.monotonic() - start)
        assert "INFO: count=1 curr=" in said
    assert best_s < 0.5


def test_phones_share_nothing(loopback_phones):
    one, other = loopback_phones(2)
    on(one, "echo mine > /data/local/tmp/note; touch /tmp/note")
    on(one, IN_BACKGROUND)
    assert on(other, "ls /data/local/tmp").split() == ["pocketnas"]
    assert on(other, "ls /tmp") == ""
    assert "sleep" in on(one, "cat /proc/[0-9]*/comm").split()
    assert "sleep" not in on(other, "cat /proc/[0-9]*/comm").split()
    assert one.unit != other.unit
    assert on(one, "cat /proc/sys/kernel/hostname") != on(other, "cat /proc/sys/kernel/hostname")


def test_a_phone_cannot_be_reached_but_over_its_cable(loopback_phones):
    phone, other = loopback_phones(2)
    routes = on(phone, "cat /proc/net/route").splitlines()
    assert len(routes) == 2, routes  # a heading, and the cable's subnet
    for address in ("192.0.2.1", other.serial.partition(":")[0]):
        attempt = f"import socket; socket.create_connection(('{address}', 5555), 2)"
        said = on(phone, f'python3 -c "{attempt}" 2>&1 | tail -1')
        assert "Network is unreachable" in said
    for address in ("127.0.0.1", "::1"):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, 5555), 2).close()


def test_adbd_does_not_listen_past_its_network_namespace(loopback_phones):
    """Its AF_VSOCK port would be open to the whole machine, and to what runs the machine."""
    (phone,) = loopback_phones(1)
    try:
        ours = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    except OSError:
        pytest.skip("this kernel has no AF_VSOCK")
    with ours:
        ours.bind((socket.VMADDR_CID_ANY, 5555))  # were adbd there: address already in use
    said = on(phone, "python3 -c 'import socket; socket.socket(40, 1)' 2>&1 | tail -1")
    assert "Address family not supported" in said


def test_down_leaves_nothing(loopback_phones):
    phones = loopback_phones(2)
    for phone in phones:
        on(phone, IN_BACKGROUND)
    traces = Traces(phone.id for phone in phones)
    assert len(traces.namespaces) == 10  # five kinds, two phones
    found = " ".join(traces.left())
    for what in ("box", "adbd", "sleep", f"link {phones[0].link}", f"file {phones[1].id}"):
        assert what in found
    assert "mount" not in found  # not even while they are up
    assert down() == phones
    assert traces.left() == []
    assert state.running() == ()
    assert [path.name for path in state.phones_folder().iterdir()] == [".lock"]


def test_down_leaves_no_exit_code_that_would_keep_a_namespace(loopback_phones):
    """A zombie keeps its PID namespace, and not every computer's init collects it soon."""
    phones = loopback_phones(2)
    for phone in phones:
        on(phone, IN_BACKGROUND)
    down()
    assert [phone.pid for phone in phones if Path(f"/proc/{phone.pid}").exists()] == []


def test_a_box_whose_parent_collects_nothing_is_ended_all_the_same(loopback_phones, monkeypatch):
    (phone,) = loopback_phones(1)
    traces = Traces([phone.id])
    monkeypatch.setattr(processes, "COLLECTED_S", 0.1)
    parent = Path(f"/proc/{phone.pid}/stat").read_text().rpartition(")")[2].split()[1]
    os.kill(int(parent), signal.SIGSTOP)
    assert down() == (phone,)
    assert traces.left() == []


def test_a_box_that_ends_while_its_cable_is_laid_tells_why(loopback_phones, monkeypatch):
    loopback_phones(1)
    down()
    lay = network.connect

    def too_late(phone_id, pid):
        os.kill(pid, signal.SIGKILL)
        assert processes.wait_for(lambda: not processes.lives(pid), 5.0)
        return lay(phone_id, pid)

    monkeypatch.setattr(network, "connect", too_late)
    with pytest.raises(OperationError, match="a loopback phone did not start; it said"):
        up(1)
    assert state.known_ids() == frozenset()


def test_one_phone_is_taken_down_and_the_other_stays(loopback_phones):
    one, other = loopback_phones(2)
    assert down(one.serial) == (one,)
    assert state.running() == (other,)
    assert on(other, "echo here").strip() == "here"
    with pytest.raises(InputError, match=f"{one.serial}.*up: {other.serial}"):
        down(one.serial)


def test_down_twice_is_down(loopback_phones):
    loopback_phones(1)
    assert len(down()) == 1
    assert down() == ()


def test_the_same_address_is_the_same_unit(loopback_phones):
    (first,) = loopback_phones(1)
    down()
    (second,) = loopback_phones(1)
    if second.serial == first.serial:
        assert second.unit == first.unit
    assert second.id != first.id


def test_phones_of_another_home_are_not_touched(
    loopback_phones, loopback_root, tmp_path, monkeypatch
):
    (phone,) = loopback_phones(1)
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "other"))
    (tmp_path / "other/loopback").mkdir(parents=True)
    (tmp_path / "other/loopback" / loopback_root.name).symlink_to(loopback_root)
    (second,) = up(1)
    assert second.serial != phone.serial
    assert down() == (second,)
    assert on(phone, "echo here").strip() == "here"


def test_what_dies_by_itself_is_not_up_and_the_next_up_clears_it(loopback_phones):
    (phone,) = loopback_phones(1)
    traces = Traces([phone.id])
    os.kill(phone.pid, signal.SIGKILL)
    assert processes.wait_for(lambda: not state.running(), 5.0)
    (again,) = loopback_phones(1)
    assert state.known_ids() == {again.id}
    assert traces.left() == []


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.1, 0.15, 0.2, 0.3])
def test_what_a_killed_up_leaves_is_cleared_by_the_next_down(loopback_phones, delay_s):
    """Killed at several moments, before, while and after the boxes start."""
    loopback_phones(1)
    down()
    child = subprocess.Popen(
        [sys.executable, "-c", "from devices.loopback.phone import up; up(3)"],
        cwd=Path(__file__).parents[2],
    )
    assert processes.wait_for(lambda: bool(state.known_ids()), 30.0)
    time.sleep(delay_s)
    child.kill()
    child.wait()
    traces = Traces(state.known_ids())
    assert traces.left() != []
    down()
    assert traces.left() == []
    assert state.known_ids() == frozenset()


def test_an_up_that_fails_leaves_nothing(loopback_phones, monkeypatch):
    loopback_phones(1)
    down()
    traces = []

    def no_cable(phone_id, pid):
        assert pid == processes.first_process(phone_id)
        traces.append(Traces(state.known_ids()))
        msg = "the kernel refuses"
        raise OperationError(msg)

    monkeypatch.setattr(network, "connect", no_cable)
    with pytest.raises(OperationError, match="the kernel refuses"):
        up(2)
    assert len(traces[0].ids) == 2
    assert traces[0].left() == []
    assert state.known_ids() == frozenset()


def test_a_box_that_does_not_start_tells_why(loopback_phones, monkeypatch, tmp_path):
    loopback_phones(1)
    box = tmp_path / "box.sh"
    box.write_text("echo 'mount: no such device' >&2; exit 1\n")
    monkeypatch.setattr("devices.loopback.phone._BOX", box)
    monkeypatch.setattr("devices.loopback.phone.READY_TIMEOUT_S", 1.0)
    with pytest.raises(OperationError, match="did not start; it said: mount: no such device"):
        up(1)
    assert len(state.running()) == 1


def test_the_root_is_built_once(loopback_phones, loopback_root):
    from devices.loopback.root import ensure_root

    loopback_phones(1)
    said: list[str] = []
    assert ensure_root(said.append) == loopback_root
    assert said == []


def test_the_commands_print_what_is_up(loopback_phones):
    from typer.testing import CliRunner

    from pocketnas.cli.phone import app

    run = CliRunner().invoke
    loopback_phones(1)
    down()
    started = json.loads(run(app, ["up", "--count", "2", "--json"]).stdout)["phones"]
    assert [each["device"] for each in started] == [f"adb:{p.serial}" for p in state.running()]
    assert json.loads(run(app, ["list", "--json"]).stdout)["phones"] == started
    assert started[0]["device"] in run(app, ["list"]).stdout
    gone = json.loads(run(app, ["down", started[0]["serial"], "--json"]).stdout)
    assert gone == {"down": [started[0]["serial"]]}
    assert run(app, ["down"]).stdout == f"Down: {started[1]['serial']}\n"
    assert "No loopback phone is up" in run(app, ["list"]).stdout
