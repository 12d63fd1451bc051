"""The cache on a folder of this computer, whose own sh, find, stat and touch do the work."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from devices.adb_services import Output
from devices.device import DevicePermanentError, DeviceTransientError, ModelFile
from devices.phone_cache import FOLDER, CacheUsage, PhoneCache
from devices.testing import file_of
from devices.transport import Transport

MB = 1 << 20


class ThisComputersShell:
    """A wire to no phone: scripts run in this computer's sh, and files are copied."""

    def __init__(self):
        self.scripts = []
        self.pushes = []
        self.room_bytes = None
        self.full_for = 0

    def run(self, script, timeout_s):
        self.scripts.append(script)
        if self.room_bytes is not None and "df -k" in script:
            script = script.replace("df -k", f"echo fs 9 9 {self.room_bytes // 1024} 0% #")
            script = script.replace(" | tail -n 1", "")
        done = subprocess.run(["sh", "-c", script], capture_output=True, timeout=timeout_s)
        return Output(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr, cut=False)

    def push(self, source, target, mode, timeout_s):  # noqa: ARG002
        if self.full_for:
            self.full_for -= 1
            device, words = "adb:none", f"{target}: write failed: No space left on device"
            raise DevicePermanentError(device, words)
        self.pushes.append(target)
        shutil.copyfile(source, target)

    def close(self):
        pass


@pytest.fixture
def wire():
    return ThisComputersShell()


@pytest.fixture
def place(tmp_path):
    return tmp_path / "phone" / "pocketnas"


@pytest.fixture
def cache_of(wire, place):
    def make(cap_bytes=512 * MB):
        return PhoneCache(
            Transport("adb:none", wire),
            "adb:none",
            cap_bytes,
            folder=str(place),
            scratch=str(place.parent),
        )

    return make


@pytest.fixture
def model_of(tmp_path):
    def make(name, size=1000):
        path = tmp_path / f"{name}.tflite"
        path.write_bytes((name * size)[:size].encode())
        return file_of(path)

    return make


def used_long_ago(path, hours):
    then = time.time() - hours * 3600
    os.utime(path, (then, Path(path).stat().st_mtime))


def test_a_model_is_pushed_once_and_asked_for_in_one_call_after_that(cache_of, model_of, wire):
    cache, model = cache_of(), model_of("a")
    path = cache.ensure(model, 10)
    assert Path(path).read_bytes() == model.path.read_bytes()
    assert len(wire.pushes) == 1
    wire.scripts.clear()
    assert cache.ensure(model, 10) == path
    assert len(wire.pushes) == 1
    assert len(wire.scripts) == 1
    assert "sha256sum" not in wire.scripts[0]


def test_another_connection_hashes_what_it_finds_and_pushes_nothing(cache_of, model_of, wire):
    model = model_of("a")
    cache_of().ensure(model, 10)
    wire.scripts.clear()
    again = cache_of()
    again.ensure(model, 10)
    assert len(wire.pushes) == 1
    assert [("sha256sum" in script) for script in wire.scripts] == [True]
    wire.scripts.clear()
    again.forget()
    again.ensure(model, 10)
    assert "sha256sum" in wire.scripts[0]


def test_twenty_megabytes_are_not_pushed_again(cache_of, tmp_path, wire):
    path = tmp_path / "large.tflite"
    path.write_bytes(os.urandom(20 * MB))
    model = file_of(path)
    cache_of().ensure(model, 30)
    cache_of().ensure(model, 30)
    assert len(wire.pushes) == 1


def damage(path, *, keep_time):
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)
    if keep_time:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_file_that_changed_on_the_phone_is_pushed_anew(cache_of, model_of, wire):
    cache, model = cache_of(), model_of("a")
    path = Path(cache.ensure(model, 10))
    damage(path, keep_time=False)
    cache.ensure(model, 10)
    assert len(wire.pushes) == 2
    assert path.read_bytes() == model.path.read_bytes()


def test_a_file_that_changed_unseen_is_found_after_a_failure(cache_of, model_of, wire):
    cache, model = cache_of(), model_of("a")
    path = Path(cache.ensure(model, 10))
    damage(path, keep_time=True)
    cache.ensure(model, 10)
    assert len(wire.pushes) == 1
    cache.forget()
    cache.ensure(model, 10)
    assert len(wire.pushes) == 2
    assert path.read_bytes() == model.path.read_bytes()


def test_a_file_that_was_written_to_while_it_ran_is_noticed(cache_of, model_of):
    cache, model = cache_of(), model_of("a")
    path = Path(cache.ensure(model, 10))
    cache.require_unchanged(model)
    damage(path, keep_time=False)
    with pytest.raises(DeviceTransientError, match="was changed on the phone while it ran"):
        cache.require_unchanged(model)


def test_whether_a_file_is_whole_is_told_by_its_digest(cache_of, model_of):
    cache, model = cache_of(), model_of("a")
    assert not cache.is_whole(model, 10)
    path = Path(cache.ensure(model, 10))
    assert cache.is_whole(model, 10)
    damage(path, keep_time=True)
    assert not cache.is_whole(model, 10)


def test_a_file_that_is_gone_is_pushed_anew(cache_of, model_of, wire):
    cache, model = cache_of(), model_of("a")
    Path(cache.ensure(model, 10)).unlink()
    cache.ensure(model, 10)
    assert len(wire.pushes) == 2


def test_a_file_that_was_only_touched_is_not_pushed_again(cache_of, model_of, wire):
    cache, model = cache_of(), model_of("a")
    path = Path(cache.ensure(model, 10))
    os.utime(path, (1e9, 1e9))
    cache.ensure(model, 10)
    assert len(wire.pushes) == 1
    assert "sha256sum" in wire.scripts[-1]


def test_what_was_not_used_for_longest_goes_first(cache_of, model_of):
    cache = cache_of(cap_bytes=3500)
    models = {name: model_of(name) for name in "abc"}
    paths = {name: Path(cache.ensure(model, 10)) for name, model in models.items()}
    for hours, name in enumerate("cba", start=1):
        used_long_ago(paths[name], hours)
    cache.ensure(models["a"], 10)
    new = Path(cache.ensure(model_of("d"), 10))
    assert [name for name in "abc" if paths[name].exists()] == ["a", "c"]
    assert new.exists()
    assert cache.usage() == CacheUsage(files=3, bytes=3000)


def test_a_use_does_not_look_like_a_change(cache_of, model_of, wire):
    cache, model = cache_of(), model_of("a")
    path = Path(cache.ensure(model, 10))
    used_long_ago(path, 5)
    before = path.stat()
    cache.ensure(model, 10)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_atime > before.st_atime + 3600
    assert len(wire.pushes) == 1


def test_a_phone_that_runs_full_loses_the_oldest_models(cache_of, model_of, wire):
    cache = cache_of()
    old = Path(cache.ensure(model_of("old", 2 * MB), 10))
    used_long_ago(old, 3)
    kept = Path(cache.ensure(model_of("kept", 2 * MB), 10))
    wire.room_bytes = 16 * MB + MB // 2
    cache.ensure(model_of("new", MB), 10)
    assert (old.exists(), kept.exists()) == (False, True)


def test_a_push_that_finds_the_disk_full_evicts_everything_else_and_is_tried_once_more(
    cache_of, model_of, wire
):
    cache, new = cache_of(), model_of("new")
    old = Path(cache.ensure(model_of("old"), 10))
    wire.full_for = 1
    path = Path(cache.ensure(new, 10))
    assert path.read_bytes() == new.path.read_bytes()
    assert not old.exists()
    wire.full_for = 9
    with pytest.raises(DevicePermanentError, match="No space left on device"):
        cache.ensure(model_of("newer"), 10)
    assert wire.full_for == 7


def test_a_full_disk_with_nothing_to_evict_is_told_at_once(cache_of, model_of, wire):
    wire.room_bytes = MB
    with pytest.raises(DevicePermanentError, match="1 MB left, 3 MB are needed"):
        cache_of().ensure(model_of("big", 3 * MB), 10)
    assert wire.pushes == []


def test_a_model_larger_than_the_cap_is_refused_and_evicts_nothing(cache_of, model_of):
    cache = cache_of(cap_bytes=MB)
    small = Path(cache.ensure(model_of("a"), 10))
    with pytest.raises(DevicePermanentError, match="a model of 2 MB exceeds the 1 MB"):
        cache.ensure(model_of("big", 2 * MB), 10)
    assert small.exists()


def test_what_arrives_damaged_is_not_used(cache_of, model_of):
    model = model_of("a")
    lie = ModelFile(path=model.path, sha256="0" * 64)
    with pytest.raises(DeviceTransientError, match="arrived with digest"):
        cache_of().ensure(lie, 10)
    assert cache_of().usage() == CacheUsage(files=0, bytes=0)


def test_pushes_that_were_interrupted_are_removed_once_they_are_old(cache_of, model_of, place):
    (place / "models").mkdir(parents=True)
    old, young = place / "models" / "x.tflite.1.part", place / "models" / "y.tflite.2.part"
    old.write_bytes(b"o" * 10)
    young.write_bytes(b"y")
    os.utime(old, (time.time() - 3700,) * 2)
    cache_of().ensure(model_of("a"), 10)
    assert (old.exists(), young.exists()) == (False, True)


def test_cleaning_removes_all_but_the_program_and_says_how_much(cache_of, model_of, place):
    cache = cache_of()
    cache.ensure(model_of("a", 700), 10)
    left = {
        place / "result-1.pb": 10,
        place / "models" / "x.tflite.1.part": 5,
        place / "a file's name.csv": 3,
        place.parent / ".pocketnas-stderr-1": 7,
    }
    for path, size in left.items():
        path.write_bytes(b"x" * size)
        os.utime(path, (time.time() - 200,) * 2)
    others = [place / "benchmark_model", place.parent / "someone's", place.parent / ".pocketnas-2"]
    for path in others:
        path.write_bytes(b"keep")
    assert cache.clean() == CacheUsage(files=5, bytes=725)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in others)
    assert cache.usage() == CacheUsage(files=0, bytes=0)
    assert cache.clean(runner=True) == CacheUsage(files=1, bytes=4)


def test_a_phone_that_was_never_used_has_nothing_to_clean(cache_of, place):
    place.parent.mkdir()
    assert cache_of().usage() == CacheUsage(files=0, bytes=0)
    assert cache_of().clean() == CacheUsage(files=0, bytes=0)


def test_after_cleaning_a_model_is_pushed_again(cache_of, model_of, wire):
    cache, model = cache_of(), model_of("a")
    cache.ensure(model, 10)
    cache.clean()
    assert Path(cache.ensure(model, 10)).exists()
    assert len(wire.pushes) == 2


@pytest.mark.loopback
def test_on_a_loopback_phone_twenty_megabytes_are_pushed_once_and_found_by_content(
    loopback_phones, tmp_path, request
):
    from devices.transport import open_transport

    (phone,) = loopback_phones(1)
    path = tmp_path / "large.tflite"
    path.write_bytes(os.urandom(20 * MB))
    model = file_of(path)
    transport = open_transport(f"adb:{phone.serial}", phone.serial)
    request.addfinalizer(transport.close)
    first = PhoneCache(transport, "adb:x")
    where = first.ensure(model, 60)
    changed = transport.shell(["stat", "-c", "%y %i", where], 10).stdout
    first.ensure(model, 60)
    PhoneCache(transport, "adb:x").ensure(model, 60)
    assert transport.shell(["stat", "-c", "%y %i", where], 10).stdout == changed
    assert first.usage() == CacheUsage(files=1, bytes=20 * MB)
    damaged = transport.script(f"printf x | dd of={where} conv=notrunc bs=1 seek=99", 10)
    assert damaged.exit_code == 0
    first.ensure(model, 60)
    assert transport.sha256(where, 10) == model.sha256
    assert where.startswith(FOLDER)
    assert first.clean().files == 1
