import random
import struct

import pytest

from devices.adb_services import (
    Kept,
    RefusedByPhoneError,
    marked,
    receive_file,
    receive_shell,
    send_file,
    unmarked,
)
from devices.adb_wire import WireClosedError


class FakeChannel:
    """A fake channel that gives what it was made with, in pieces."""

    def __init__(self, content, piece=1 << 16):
        self.pieces = [content[at : at + piece] for at in range(0, len(content), piece)]
        self.sent = bytearray()
        self.refuse_after = None

    def send(self, content, until):  # noqa: ARG002 - the protocol's
        if self.refuse_after is not None and len(self.sent) > self.refuse_after:
            return False
        self.sent += content
        return True

    def receive(self, until):  # noqa: ARG002
        return self.pieces.pop(0) if self.pieces else b""

    def close(self):
        """Nothing to do."""


def shell(*packets):
    return b"".join(struct.pack("<BI", kind, len(text)) + text for kind, text in packets)


def file_service(*words):
    return b"".join(struct.pack("<4sI", kind, len(text)) + text for kind, text in words)


ANSWER = shell((1, b"out\0\xff"), (2, b"err"), (1, b"more"), (3, b"\x07"))


@pytest.mark.parametrize("piece", [1, 3, 7, 1000])
def test_exit_code_stdout_and_stderr_come_apart_however_they_are_cut(piece):
    output = receive_shell(FakeChannel(ANSWER, piece), 0)
    assert (output.exit_code, output.stdout, output.stderr) == (7, b"out\0\xffmore", b"err")
    assert not output.cut


def test_an_answer_that_ends_anywhere_before_its_exit_code_is_no_answer():
    for kept in range(len(ANSWER)):
        with pytest.raises(WireClosedError, match="cut off"):
            receive_shell(FakeChannel(ANSWER[:kept]), 0)


def test_an_output_is_bounded_and_says_where_it_was_cut():
    kept = Kept(head=10, tail=6)
    whole = bytes(random.Random(1).choices(b"abcdef", k=1000))
    for at in range(0, 1000, 7):
        kept.add(whole[at : at + 7])
    text = kept.bytes()
    assert text == whole[:10] + b"\n[984 bytes were cut out here]\n" + whole[-6:]
    assert kept.lost == 984


@pytest.mark.parametrize("size", [0, 9, 10, 11, 16])
def test_an_output_within_its_bounds_is_kept_as_it_is(size):
    kept = Kept(head=10, tail=6)
    kept.add(b"0123456789abcdef"[:size])
    assert kept.bytes() == b"0123456789abcdef"[:size]
    assert kept.lost == 0


def test_a_marked_script_cut_anywhere_is_no_answer():
    answer = b"out\nm1 3\nerr\nm1"
    kept = Kept()
    kept.add(answer)
    output = unmarked(kept, "m1")
    assert (output.exit_code, output.stdout, output.stderr) == (3, b"out", b"err")
    for end in range(len(answer)):
        cut = Kept()
        cut.add(answer[:end])
        with pytest.raises(WireClosedError):
            unmarked(cut, "m1")
    assert "m1" in marked("true", "m1")


def test_a_file_goes_out_in_pieces_that_the_service_takes(tmp_path):
    source = tmp_path / "model"
    source.write_bytes(bytes(150_000))
    channel = FakeChannel(file_service((b"OKAY", b"")))
    send_file(channel, source, "/data/m", 0o644, 0)
    sent = bytes(channel.sent)
    assert sent.startswith(b"SEND" + struct.pack("<I", 13) + b"/data/m,33188")
    assert sent.count(b"DATA" + struct.pack("<I", 1 << 16)) == 2
    assert sent[-8:-4] == b"DONE"


def test_a_refusal_in_mid_push_is_told_with_the_phones_words(tmp_path):
    source = tmp_path / "model"
    source.write_bytes(bytes(10 << 20))
    channel = FakeChannel(file_service((b"FAIL", b"No space left on device")))
    channel.refuse_after = 100_000
    with pytest.raises(RefusedByPhoneError, match="No space left on device"):
        send_file(channel, source, "/data/m", 0o644, 0)
    assert len(channel.sent) < 200_000


def test_a_push_without_an_answer_has_not_arrived(tmp_path):
    source = tmp_path / "model"
    source.write_bytes(b"weights")
    with pytest.raises(WireClosedError, match="broke off"):
        send_file(FakeChannel(b""), source, "/data/m", 0o644, 0)


def test_a_file_comes_back_whole_or_not_at_all():
    answer = b"DATA" + struct.pack("<I", 3) + b"abc" + b"DATA" + struct.pack("<I", 1) + b"d"
    answer += b"DONE" + struct.pack("<I", 0)
    assert receive_file(FakeChannel(answer, 2), "/f", 100, 0) == b"abcd"
    for end in range(len(answer)):
        with pytest.raises(WireClosedError):
            receive_file(FakeChannel(answer[:end]), "/f", 100, 0)
    with pytest.raises(RefusedByPhoneError, match="more than 3 bytes"):
        receive_file(FakeChannel(answer), "/f", 3, 0)
