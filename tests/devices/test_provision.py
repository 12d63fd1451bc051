"""Provisioning a folder of this computer, through its own sh, as if it were a phone."""

import hashlib
import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from devices.adb_services import Output
from devices.device import DevicePermanentError, DeviceTransientError
from devices.provision import abi_of, phone_abis, provision, provisioned_version
from devices.runners import Dialect
from devices.transport import Transport
from workspace.errors import InputError

ARM64, ARM, X86_64, X86 = 183, 40, 62, 3
HELP = (Path(__file__).parent / "data" / "badflagvalue.stderr").read_text()


class ThisComputersShell:
    """A wire to no phone: scripts run in this computer's sh, but for what a phone alone has."""

    def __init__(self):
        self.abilist: str | None = "arm64-v8a,armeabi-v7a,armeabi"
        self.kernel = "aarch64"
        self.help = Output(exit_code=1, stdout=b"INFO: STARTING!\n", stderr=HELP.encode())
        self.pushes = []

    def run(self, script, timeout_s):
        if "getprop" in script:
            listed = f"{self.abilist}\n" if self.abilist is not None else ""
            return Output(exit_code=0, stdout=f"{listed}{self.kernel}\n".encode())
        if script.endswith(" --help"):
            assert os.access(script.removesuffix(" --help"), os.X_OK)
            return self.help
        done = subprocess.run(["sh", "-c", script], capture_output=True, timeout=timeout_s)
        return Output(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def push(self, source, target, mode, timeout_s):  # noqa: ARG002
        self.pushes.append(target)
        shutil.copyfile(source, target)

    def close(self):
        pass


@pytest.fixture(autouse=True)
def shelter(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))


@pytest.fixture
def wire():
    return ThisComputersShell()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "phone" / "pocketnas"


@pytest.fixture
def put(wire, folder):
    def make(**options):
        return provision(Transport("adb:none", wire), "adb:none", folder=str(folder), **options)

    return make


def elf(machine, kind=3, order="<"):
    ident = b"\x7fELF" + bytes([2, 1 if order == "<" else 2, 1]) + bytes(9)
    return ident + struct.pack(f"{order}HH", kind, machine) + bytes(100)


@pytest.fixture
def runner(tmp_path):
    path = tmp_path / "my_benchmark_model"
    path.write_bytes(elf(ARM64))
    return path


def test_a_program_is_pushed_made_executable_and_noted_on_both_sides(
    put, runner, wire, tmp_path, folder
):
    made = put(runner=runner)
    program = folder / "benchmark_model"
    assert program.read_bytes() == runner.read_bytes()
    assert program.stat().st_mode & 0o777 == 0o755
    assert (made.path, made.dialect, made.abi) == (str(program), Dialect.TFLITE, "arm64-v8a")
    assert made.sha256 == hashlib.sha256(runner.read_bytes()).hexdigest()
    assert (made.version, made.pushed) == ("", True)
    (kept,) = (tmp_path / "home" / "runners" / "phones").iterdir()
    assert "none" not in kept.name
    for note in (kept, folder / "benchmark_model.json"):
        told = json.loads(note.read_text())
        assert (told["sha256"], told["dialect"]) == (made.sha256, "tflite")
    assert [Path(target).name.split(".")[0] for target in wire.pushes] == ["benchmark_model"] * 2


def test_a_program_that_is_there_already_is_not_pushed_again(put, runner, wire):
    put(runner=runner)
    wire.pushes.clear()
    made = put(runner=runner)
    assert not made.pushed
    assert all(".json." in target for target in wire.pushes)


def test_the_dialect_is_the_programs_own_word(put, runner, wire):
    wire.help = Output(exit_code=0, stdout=b"--result_file_path=\n--use_cpu=true\n")
    assert put(runner=runner).dialect is Dialect.LITERT


def test_a_release_is_fetched_for_the_phones_processor_and_its_version_noted(put, wire, folder):
    asked = []

    def fetch(url, target):
        asked.append(url)
        target.write_bytes(elf(ARM64))

    made = put(release="2.3.0", fetch=fetch)
    assert (made.version, made.abi) == ("2.3.0", "arm64-v8a")
    assert asked == [
        "https://storage.googleapis.com/litert/binaries/2.3.0/android_arm64/benchmark_model"
    ]
    transport, there = Transport("adb:none", wire), str(folder)
    assert provisioned_version(transport, made.sha256, there) == "2.3.0"
    assert provisioned_version(transport, "0" * 64, there) == ""
    assert provisioned_version(transport, made.sha256, "/nowhere") == ""


def test_a_file_that_is_a_fetched_release_is_known_as_one(put, runner):
    put(release="2.3.0", fetch=lambda _, target: target.write_bytes(runner.read_bytes()))
    assert put(runner=runner).version == "2.3.0"


@pytest.mark.parametrize(
    ("machine", "abilist", "kernel", "fits"),
    [
        (ARM64, "arm64-v8a,armeabi-v7a,armeabi", "aarch64", True),
        (ARM, "arm64-v8a,armeabi-v7a,armeabi", "aarch64", True),
        (ARM, "arm64-v8a", "aarch64", False),
        (X86_64, "arm64-v8a,armeabi-v7a", "aarch64", False),
        (ARM64, "x86_64,x86", "x86_64", False),
        (X86_64, "", "x86_64", True),
        (X86, None, "x86_64", True),
        (ARM64, None, "armv8l", False),
    ],
)
def test_a_program_for_another_processor_is_refused_before_anything_is_pushed(
    put, runner, wire, machine, abilist, kernel, fits, folder
):
    runner.write_bytes(elf(machine))
    wire.abilist, wire.kernel = abilist, kernel
    if fits:
        assert put(runner=runner).pushed
        return
    with pytest.raises(
        InputError, match=r"my_benchmark_model' is built for .*, and adb:none runs"
    ):
        put(runner=runner)
    assert wire.pushes == []
    assert not folder.exists()


@pytest.mark.parametrize(
    "content",
    [b"#!/bin/sh\necho no\n", b"", b"\x7fEL", b"PK\x03\x04" + bytes(40), elf(ARM64)[:12]],
)
def test_what_is_no_program_is_refused(put, runner, wire, content):
    runner.write_bytes(content)
    with pytest.raises(
        InputError, match=r"is no program for Android .*: give the benchmark_model"
    ):
        put(runner=runner)
    assert wire.pushes == []


def test_elf_headers_are_read_in_both_byte_orders(runner):
    runner.write_bytes(elf(X86, order=">"))
    assert abi_of(runner) == "x86"
    for content in (elf(8), elf(ARM64, kind=1)):
        runner.write_bytes(content)
        with pytest.raises(InputError, match="that no phone has"):
            abi_of(runner)


def test_this_computers_own_programs_are_for_its_processor():
    machine = os.uname().machine
    assert abi_of(Path("/bin/sh")) == {"x86_64": "x86_64", "aarch64": "arm64-v8a"}[machine]


def test_a_phone_that_refuses_to_run_it_is_quoted(put, runner, wire, folder):
    words = b"sh: /data/local/tmp/pocketnas/benchmark_model: can't execute: Permission denied\n"
    wire.help = Output(exit_code=126, stdout=b"", stderr=words)
    with pytest.raises(DevicePermanentError, match=r"126\): sh: .*Permission denied") as told:
        put(runner=runner)
    assert told.value.exit_code == 126
    assert not (folder / "benchmark_model.json").exists()


def test_a_phone_that_does_not_tell_its_processor_is_asked_again(wire):
    wire.abilist, wire.kernel = "riscv64", "riscv64"
    with pytest.raises(DeviceTransientError, match="does not tell what processor it has"):
        phone_abis(Transport("adb:none", wire), "adb:none")


def test_a_runner_and_a_release_at_once_or_neither_is_refused(put, runner, tmp_path):
    for options in ({}, {"runner": runner, "release": "2.3.0"}):
        with pytest.raises(InputError, match="either a runner or a release"):
            put(**options)
    with pytest.raises(InputError, match="there is no file"):
        put(runner=tmp_path / "nowhere")


@pytest.mark.loopback
def test_on_a_loopback_phone_a_real_program_that_is_none_of_ours_is_told_by_its_words(
    loopback_phones, tmp_path, request
):
    from devices.transport import open_transport

    (phone,) = loopback_phones(1)
    device = f"adb:{phone.serial}"
    transport = open_transport(device, phone.serial)
    request.addfinalizer(transport.close)
    folder = "/data/local/tmp/elsewhere"
    program = tmp_path / "benchmark_model"
    shutil.copyfile("/bin/true", program)
    with pytest.raises(DevicePermanentError, match="no benchmark_model that runs there"):
        provision(transport, device, runner=program, folder=folder)
    assert transport.sha256(f"{folder}/benchmark_model", 5) != ""
    program.write_bytes(elf(ARM))
    with pytest.raises(InputError, match="is built for armeabi-v7a"):
        provision(transport, device, runner=program, folder=folder)
