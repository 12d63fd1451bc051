"""The parts of loopback phones that need no rights: what is missing, the mirror, the subnets."""

import os
import platform
import struct
import sys
from ipaddress import IPv4Network

import pytest

from devices.loopback import confinement, mirror, needs, network, processes, state
from devices.loopback.phone import down, up
from devices.loopback.root import root_path
from workspace.errors import InputError, OperationError


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    monkeypatch.delenv(mirror.VARIABLE, raising=False)


def test_without_root_it_says_that_it_needs_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(OperationError, match=r"needs root.*sudo"):
        up()


def test_on_another_system_it_says_that_it_needs_linux(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(OperationError, match=r"needs Linux.*not darwin"):
        up()


def test_missing_programs_come_with_the_command_that_installs_them(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setitem(needs.PROGRAMS, "no-such-program", "no-such-package")
    assert "apt-get install" in (needs.missing() or "")
    assert "no-such-package" in (needs.missing() or "")


@pytest.mark.parametrize("count", [0, -2])
def test_a_number_of_phones_below_one_is_refused(count):
    with pytest.raises(InputError, match=f"at least 1, got {count}"):
        up(count)


def test_down_without_phones_needs_nothing_and_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert down() == ()
    assert list(tmp_path.iterdir()) == []


def test_a_serial_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"no loopback phone has the serial '10\.0\.0\.9:5555'"):
        down("10.0.0.9:5555")


def test_a_phone_whose_processes_are_gone_is_not_up():
    state.phones_folder().mkdir(parents=True)
    state.announce(_phone("0" * 8))
    assert state.running() == ()
    assert state.known_ids() == {"0" * 8}


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1}', '{"version": 99}'])
def test_a_state_file_that_cannot_be_read_is_named(content):
    state.phones_folder().mkdir(parents=True)
    (state.phones_folder() / "abc.json").write_text(content)
    with pytest.raises(OperationError, match=r"abc\.json.*pocketnas phone down"):
        state.running()


def test_the_root_is_named_by_what_is_in_it(monkeypatch):
    before = root_path()
    monkeypatch.setattr("devices.loopback.root.PACKAGES", ("adbd", "python3", "strace"))
    assert root_path() != before
    assert root_path().parent == state.shelter()


def test_the_mirror_is_apts_own_unless_another_is_given(monkeypatch):
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: _system("debian", "bookworm"))
    monkeypatch.setattr(mirror, "_sources", lambda: ["http://near.example/debian/|bookworm|main"])
    assert mirror.debian_mirror() == "http://near.example/debian/"
    monkeypatch.setenv(mirror.VARIABLE, "https://chosen.example/debian")
    assert mirror.debian_mirror() == "https://chosen.example/debian"


def test_another_systems_mirror_is_not_taken_for_debians(monkeypatch):
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: _system("ubuntu", "noble"))
    monkeypatch.setattr(mirror, "_sources", lambda: ["http://near.example/ubuntu/|noble|main"])
    assert mirror.debian_mirror() is None


def test_a_mirror_that_is_no_web_address_is_refused(monkeypatch):
    monkeypatch.setenv(mirror.VARIABLE, "/srv/debian")
    with pytest.raises(InputError, match=r"http\(s\) address .*, got '/srv/debian'"):
        mirror.debian_mirror()


def test_security_and_third_party_sources_are_passed_over():
    sources = [
        "http://a.example/debian-security/|bookworm-security|main",
        "https://b.example/linux/debian/|bookworm|stable",
        "file:///srv/debian/|bookworm|main",
        "http://c.example/debian/|bookworm|main",
    ]
    assert mirror.pick(sources, "bookworm") == "http://c.example/debian/"
    assert mirror.pick(sources[:3], "bookworm") is None


def test_subnets_in_use_are_left_alone():
    first = next(network.free_numbers((IPv4Network("10.213.0.0/18"), IPv4Network("10.9.0.0/16"))))
    assert str(network.subnet(first)) == "172.29.192.0/30"
    assert next(network.free_numbers((IPv4Network("10.213.0.4/32"),))) == 0
    assert next(network.free_numbers((IPv4Network("10.213.0.2/32"),))) == 1


def test_no_subnet_is_left_where_all_private_ones_are_in_use():
    taken = (IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"))
    assert list(network.free_numbers(taken)) == []


@pytest.mark.parametrize(
    ("call", "family", "allowed"),
    [
        (41, 1, True),  # socket(AF_UNIX)
        (41, 2, True),  # AF_INET
        (41, 10, True),  # AF_INET6
        (41, 16, True),  # AF_NETLINK
        (41, 40, False),  # AF_VSOCK: belongs to no network namespace
        (41, 17, False),  # AF_PACKET
        (425, 0, False),  # io_uring_setup
        (0x40000000 | 41, 2, False),  # the x32 socket call
        (0, 40, True),  # read, whatever its argument
    ],
)
def test_the_socket_filter_lets_through_what_a_namespace_confines(call, family, allowed):
    assert _passes(confinement.socket_filter("x86_64"), 0xC000003E, call, family) is allowed


def test_the_socket_filter_refuses_programs_of_another_architecture():
    assert not _passes(confinement.socket_filter("x86_64"), 0x40000003, 0, 0)
    assert _passes(confinement.socket_filter("aarch64"), 0xC00000B7, 198, 2)
    assert not _passes(confinement.socket_filter("aarch64"), 0xC00000B7, 198, 40)


def test_a_machine_without_a_filter_is_refused():
    with pytest.raises(OperationError, match="not riscv64"):
        confinement.socket_filter("riscv64")


def test_a_process_that_only_mentions_a_phone_is_not_its_box():
    assert processes.first_process("00000000") is None
    assert processes.end("00000000", timeout_s=1.0)


def _phone(phone_id):
    return state.Phone(
        id=phone_id,
        serial="10.213.0.2:5555",
        unit="11111111",
        pid=1,
        netns="/proc/1/ns/net",
        link="pnas0",
        started_at="2026-01-01T00:00:00+00:00",
    )


def _system(name, codename):
    return {"ID": name, "VERSION_CODENAME": codename}


def _passes(program, architecture, call, argument):
    """What the kernel's interpreter makes of a filter for one call."""
    data = {0: call, 4: architecture, 16: argument}
    position = accumulator = 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("=HBBI", program, 8 * position)
        position += 1
        match code:
            case 0x20:
                accumulator = data[value]
            case 0x15:
                position += if_true if accumulator == value else if_false
            case 0x35:
                position += if_true if accumulator >= value else if_false
            case 0x06:
                return value == 0x7FFF0000
