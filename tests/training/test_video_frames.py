import sys

import numpy as np
import pytest

from training import video_frames
from training.video_frames import central_clips, length_of, shrunken_frames
from workspace.errors import OperationError

av = pytest.importorskip("av")


def counted(count=12, height=48, width=64):
    """Frames that are lighter and lighter, with a bright left half."""
    frames = np.zeros((count, height, width, 3), dtype=np.uint8)
    frames[..., : width // 2, :] = 60
    frames += (np.arange(count) * 12).astype(np.uint8)[:, None, None, None]
    return frames


def test_a_video_is_as_long_as_it_was_made(write_video, tmp_path):
    assert length_of(write_video(tmp_path / "a.mp4", counted(12))) == 12
    assert length_of(write_video(tmp_path / "a.avi", counted(7))) == 7


def test_at_most_so_many_frames_are_read(write_video, tmp_path, monkeypatch):
    monkeypatch.setattr(video_frames, "LONGEST", 5)
    path = write_video(tmp_path / "a.mp4", counted(12))
    assert length_of(path) == 5
    assert len(shrunken_frames(path, 32, 5)) == 5
    with pytest.raises(OperationError, match=r"had 6 frames before and has fewer now"):
        shrunken_frames(path, 32, 6)


@pytest.mark.parametrize("ending", ["mp4", "avi", "mkv"])
def test_some_seconds_of_a_file_are_a_video(write_video, tmp_path, ending):
    """Of four frames a second; key frames are frames 0 and 12."""
    path = write_video(tmp_path / f"a.{ending}", counted(20), rate=4)
    for start, end in ((0, 1), (1, 3), (4, 5), (4, 9)):
        part = tmp_path / f"a.{ending}#t={start},{end}"
        first, last = 4 * start, min(4 * end, 20)
        assert length_of(part) == last - first
        frames = shrunken_frames(part, 32, last - first)
        assert np.allclose(frames[:, :, 30:].mean((1, 2, 3)), 12 * np.arange(first, last), atol=5)
        (clip,) = central_clips(part, (1,), range(2), 16, 0.5)
        assert clip[:, :, 10:].mean((1, 2, 3)) == pytest.approx(
            [12 * (first + 1), 12 * (first + 2)], abs=5
        )
    assert length_of(path) == 20
    assert length_of(tmp_path / f"a.{ending}#t=7,9") == "it has no frame"


def test_frames_are_decoded_in_order_with_room_for_crops(write_video, tmp_path):
    path = write_video(tmp_path / "a.mp4", counted())
    frames = shrunken_frames(path, 32, 12)
    assert frames.shape == (12, 40, 53, 3)
    assert frames.dtype == np.uint8
    assert np.allclose(frames[:, :, 30:].mean((1, 2, 3)), np.arange(12) * 12, atol=5)
    assert np.allclose(frames[:, :, :22].mean((1, 2, 3)), 60 + np.arange(12) * 12, atol=5)
    assert np.array_equal(shrunken_frames(path, 32, 5), frames[:5])


def test_a_video_is_never_made_larger(write_video, tmp_path):
    path = write_video(tmp_path / "a.mp4", counted())
    assert shrunken_frames(path, 200, 2).shape == (2, 48, 64, 3)


def test_clips_are_of_the_middle_and_of_the_frames_that_are_asked_for(write_video, tmp_path):
    path = write_video(tmp_path / "a.mp4", counted())
    clips = central_clips(path, (0, 3, 6), range(0, 6, 2), 16, 0.5)
    assert clips.shape == (3, 3, 16, 16, 3)
    for clip, start in zip(clips, (0, 3, 6), strict=True):
        for frame, number in zip(clip, range(start, start + 6, 2), strict=True):
            assert frame[:, 10:].mean() == pytest.approx(12 * number, abs=5)
            assert frame[:, :6].mean() == pytest.approx(60 + 12 * number, abs=5)


def test_a_video_of_a_phone_that_was_held_upright_is_turned(tmp_path, monkeypatch):
    """The file says that its frames are to be shown turned; PyAV tells it of each frame."""

    class Turned:
        width, height, rotation = 8, 4, -90

        def reformat(self, width, height, **_):
            assert (width, height) == (8, 4)
            return self

        def to_ndarray(self):
            return np.arange(96, dtype=np.uint8).reshape(4, 8, 3)

    monkeypatch.setattr(video_frames, "_frames", lambda _: iter([Turned()]))
    (frame,) = shrunken_frames(tmp_path / "a.mp4", 64, 1)
    assert frame.shape == (8, 4, 3)
    assert np.array_equal(frame[0, -1], [0, 1, 2])  # clockwise: what was at the left is above


@pytest.mark.parametrize("kind", ["text", "cut", "empty", "sound"])
def test_what_cannot_be_decoded_says_why(kind, write_video, tmp_path):
    path = write_video(tmp_path / "a.mp4", counted())
    if kind == "text":
        path.write_text("no video")
    if kind == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if kind == "empty":
        path.write_bytes(b"")
    if kind == "sound":
        path = tmp_path / "a.wav"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono"
            )
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    why = length_of(path)
    assert isinstance(why, str)
    assert why
    assert str(tmp_path) not in why
    with pytest.raises(OperationError, match=r"could be read before and cannot be any more"):
        shrunken_frames(path, 32, 12)


def test_without_pyav_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        OperationError, match=r"videos need PyAV: pip install 'pocketnas\[video\]'"
    ):
        length_of(tmp_path / "a.mp4")


def test_a_video_that_became_shorter_is_told(write_video, tmp_path):
    path = write_video(tmp_path / "a.mp4", counted(6))
    with pytest.raises(OperationError, match=r"had 12 frames before and has fewer now"):
        central_clips(path, (0,), range(12), 16, 1.0)
