import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from devices import lease_holders
from devices.device import DeviceBusyError, DeviceTransientError
from devices.leases import LeaseLostError, lease, who_holds
from workspace.errors import InputError, OperationError

HOLD = """
import sys
from devices.leases import lease
with lease("adb:x", heartbeat_s=float(sys.argv[1])) as held:
    print("held", flush=True)
    for line in sys.stdin:
        try:
            held.require()
            print("still", flush=True)
        except Exception as error:
            print(type(error).__name__, flush=True)
"""
BEAT_S = 0.4


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))


@contextmanager
def another_process(heartbeat_s=BEAT_S):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(heartbeat_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline().startswith("held")
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def ask(holder):
    holder.stdin.write("?\n")
    holder.stdin.flush()
    return holder.stdout.readline().strip()


def test_tokens_only_grow():
    tokens = []
    for _ in range(20):
        with lease("adb:x") as held:
            tokens.append(held.token)
    assert tokens == sorted(set(tokens))


def test_tokens_grow_though_the_wall_clock_was_set_back(monkeypatch):
    with lease("adb:x") as first:
        pass
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    with lease("adb:x") as second:
        pass
    assert second.token == first.token + 1


def test_tokens_grow_though_the_folder_was_lost(tmp_path):
    with lease("adb:x") as first:
        pass
    for path in (tmp_path / "leases" / "adb%3Ax").iterdir():
        path.unlink()
    (tmp_path / "leases" / "adb%3Ax").rmdir()
    time.sleep(0.002)
    with lease("adb:x") as second:
        assert second.token > first.token


def test_a_thread_of_the_same_process_has_to_wait_too():
    with (
        lease("adb:x"),
        pytest.raises(DeviceBusyError, match=f"in use by process {os.getpid()} since 20"),
        lease("adb:x", wait_s=0.05),
    ):
        pass


def test_another_device_is_free():
    with lease("adb:x") as one, lease("adb:x/../y") as other:
        assert one.held
        assert other.held


def test_a_heartbeat_that_is_not_positive_is_refused():
    with pytest.raises(InputError, match="heartbeat must be a positive number of seconds, got 0"):
        lease("adb:x", heartbeat_s=0).__enter__()


def test_a_killed_holders_phone_is_free_at_once():
    with another_process(heartbeat_s=60) as holder:
        holder.kill()  # and is not waited for: what is left of it is no holder
        begin = time.monotonic()
        with lease("adb:x", wait_s=5) as held:
            assert time.monotonic() - begin < 1
            assert held.held


def test_a_holder_that_stood_still_loses_its_phone_and_is_told():
    with another_process() as holder:
        holder.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        with lease("adb:x", wait_s=10):
            taken_s = time.monotonic() - begin
            holder.send_signal(signal.SIGCONT)
            assert ask(holder) == "LeaseLostError"
        assert 0.5 * BEAT_S < taken_s < 2 * BEAT_S
        holder.communicate("", timeout=10)  # it ends, and gives nothing back that it has not
    with lease("adb:x"):
        pass


def test_a_holder_that_stood_still_and_was_not_missed_goes_on():
    with another_process() as holder:
        holder.send_signal(signal.SIGSTOP)
        time.sleep(3 * BEAT_S)
        holder.send_signal(signal.SIGCONT)
        assert ask(holder) == "still"


def test_a_holder_that_beats_keeps_its_phone_for_long():
    with (
        another_process(),
        pytest.raises(DeviceBusyError),
        lease("adb:x", wait_s=5 * BEAT_S),
    ):
        pass


def test_a_lost_lease_is_a_fault_that_may_pass_and_gives_nothing_back(tmp_path):
    with lease("adb:x") as held:
        folder = tmp_path / "leases" / "adb%3Ax"
        (state,) = folder.iterdir()
        state.rename(folder / f"{held.token + 1}.someone")
        with pytest.raises(LeaseLostError, match=rf"adb:x: its lease \(token {held.token}\)"):
            held.require()
    assert issubclass(LeaseLostError, DeviceTransientError)
    assert [path.name for path in folder.iterdir()] == [f"{held.token + 1}.someone"]


def test_leases_of_before_a_reboot_are_void(tmp_path):
    with another_process(heartbeat_s=60):
        (file,) = (tmp_path / "leases" / ".holders").iterdir()
        beat, process = file.read_bytes()[:8], json.loads(file.read_bytes()[8:])
        process["boot"] = "another boot"
        file.write_bytes(beat + json.dumps(process).encode())
        with lease("adb:x"):
            pass


def test_a_holder_on_another_computer_is_free_once_its_heartbeat_stood_still(tmp_path):
    with another_process(heartbeat_s=60):
        (file,) = (tmp_path / "leases" / ".holders").iterdir()
        process = json.loads(file.read_bytes()[8:])
        process |= {"boot": "its boot", "machine": "elsewhere 123", "heartbeat_s": 0.2}
        file.write_bytes(b"\0" * 8 + json.dumps(process).encode())
        with pytest.raises(DeviceBusyError, match="on elsewhere"):
            lease("adb:x").__enter__()
        begin = time.monotonic()
        with lease("adb:x", wait_s=5):
            assert time.monotonic() - begin > 0.3


def test_who_comes_first_is_served_first():
    order, threads = [], []

    def wait(number):
        with lease("adb:x", wait_s=20):
            order.append(number)

    with lease("adb:x"):
        for number in range(5):
            threads.append(threading.Thread(target=wait, args=(number,)))
            threads[-1].start()
            time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_who_asks_again_and_again_starves_nobody():
    served = threading.Event()

    def wait():
        with lease("adb:x", wait_s=10):
            served.set()

    with lease("adb:x"):
        waiter = threading.Thread(target=wait)
        waiter.start()
        time.sleep(0.05)
    for _ in range(1000):
        with lease("adb:x", wait_s=10):
            if served.is_set():
                break
    waiter.join()
    assert served.is_set()


def test_a_place_in_the_queue_dies_with_its_process(tmp_path):
    waiting = "from devices.leases import lease\nwith lease('adb:x', wait_s=60): pass"
    with lease("adb:x"):
        waiter = subprocess.Popen([sys.executable, "-c", waiting])
        folder = tmp_path / "leases" / "adb%3Ax"
        while not list(folder.glob("ticket.*")):
            time.sleep(0.01)
        waiter.kill()
        waiter.wait()
    with lease("adb:x"):
        assert not list(folder.glob("ticket.*"))


def test_a_forked_child_gives_nothing_back():
    with lease("adb:x") as held:
        child = os.fork()
        if child == 0:
            held.release()
            os._exit(0)
        os.waitpid(child, 0)
        held.require()


def test_files_of_dead_processes_are_swept(tmp_path):
    folder = tmp_path / "leases" / ".holders"
    with another_process() as holder:
        pass
    assert len(list(folder.iterdir())) == 1
    with lease("adb:x"):
        (left,) = folder.iterdir()
    assert left.name.startswith(f"{os.getpid()}-")
    assert holder.pid != os.getpid()


def test_a_damaged_holder_counts_as_dead(tmp_path):
    with another_process(heartbeat_s=60):
        (file,) = (tmp_path / "leases" / ".holders").iterdir()
        file.write_bytes(b"\xff" * 40)
        with lease("adb:x"):
            pass


def test_nothing_beats_while_nothing_is_held(tmp_path):
    with lease("adb:x", heartbeat_s=0.05):
        (file,) = (tmp_path / "leases" / ".holders").iterdir()
        first = file.read_bytes()[:8]
        time.sleep(0.2)
        assert file.read_bytes()[:8] != first
    last = file.read_bytes()[:8]
    time.sleep(0.2)
    assert file.read_bytes()[:8] == last
    assert sum(thread.name == "leases" for thread in threading.enumerate()) == 1
    assert lease_holders.EXPIRY_BEATS < 2


def test_whoever_holds_a_device_is_named_as_the_lease_names_it():
    assert who_holds("adb:X") == ""
    with lease("adb:X"):
        assert who_holds("adb:X") == f"process {os.getpid()}"
        with pytest.raises(DeviceBusyError, match=who_holds("adb:X")), lease("adb:X"):
            pass
    assert who_holds("adb:X") == ""
    assert who_holds("adb:Y") == ""


def test_one_that_died_holds_nothing():
    script = "import time; from devices.leases import lease\nwith lease('adb:X'): time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", script])
    try:
        until_s = time.monotonic() + 20
        while who_holds("adb:X") != f"process {process.pid}" and time.monotonic() < until_s:
            time.sleep(0.05)
        assert who_holds("adb:X") == f"process {process.pid}"
    finally:
        process.kill()
        process.wait()
    assert who_holds("adb:X") == ""


def test_a_home_that_cannot_be_written_is_told_in_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "file" / "home"))
    told = r"leases' cannot be written \(Not a directory\): make room there or set POCKETNAS_HOME"
    with pytest.raises(OperationError, match=told), lease("adb:x"):
        pytest.fail("it was held")
    assert who_holds("adb:x") == ""


def test_a_process_that_cannot_be_written_down_whole_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("devices.lease_holders.os.write", lambda _, content: len(content) - 1)
    with pytest.raises(OperationError, match=r"No space left on device"):
        lease_holders.Holder(tmp_path / "full", 2.0)
    assert list((tmp_path / "full").iterdir()) == []
