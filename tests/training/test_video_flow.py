import numpy as np
import pytest

from training.video_flow import flow_clip, flow_fault, flow_file, flow_raster
from workspace.errors import OperationError

pytest.importorskip("PIL")


def places(frames, height, width, dtype="float32"):
    """Flow that says where a pixel is: its frame to the right, its column down."""
    flow = np.zeros((frames, 2, height, width), dtype=dtype)
    flow[:, 0] = np.arange(frames)[:, None, None]
    flow[:, 1] = np.arange(width)
    return flow


@pytest.fixture
def video(tmp_path):
    return tmp_path / "run/a.mp4"


@pytest.fixture
def write(video):
    def write(flow):
        video.parent.mkdir(exist_ok=True)
        np.save(flow_file(video), flow)

    return write


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("frames", [11, 12])
def test_flow_of_all_frames_or_of_all_but_the_last_fits(video, write, frames, dtype):
    write(places(frames, 6, 8, dtype))
    assert flow_fault(video, 12) == ""
    assert flow_raster(video) == (6, 8)


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        (None, "a.flow.npy is not there"),
        (places(10, 6, 8), "a.flow.npy is of 10 frames, the video has 12"),
        (places(13, 6, 8), "a.flow.npy is of 13 frames, the video has 12"),
        (places(12, 6, 8, "int16"), "a.flow.npy is [12, 2, 6, 8] int16"),
        (np.zeros((12, 6, 8, 2), "float32"), "a.flow.npy is [12, 6, 8, 2] float32"),
        (np.zeros((12, 2, 0, 8), "float32"), "a.flow.npy is [12, 2, 0, 8] float32"),
        (np.array([{}]), "a.flow.npy cannot be read: "),
        (b"broken", "a.flow.npy cannot be read: "),
        (b"", "a.flow.npy cannot be read: "),
    ],
)
def test_flow_that_does_not_fit_is_told(video, write, flow, said):
    if isinstance(flow, bytes):
        video.parent.mkdir()
        flow_file(video).write_bytes(flow)
    elif flow is not None:
        write(flow)
    assert flow_fault(video, 12).startswith(said)


def test_flow_is_cut_out_of_the_file_and_is_in_pixels_of_what_comes_out(video, write):
    """A box of 4 x 6 pixels of frames of twice the size, every third frame."""
    write(places(12, 12, 16))
    clip = flow_clip(video, [1, 4, 7, 10], (8.0, 4.0, 16.0, 16.0), (24, 32), 8)
    assert clip.shape == (2, 4, 8, 8)
    assert clip.dtype == np.float32
    right, down = 3 * 8 / 4, 3 * 8 / 6
    assert np.allclose(clip[0], right * np.array([1, 4, 7, 10])[:, None, None])
    columns = 4 + (np.arange(8) + 0.5) / 2 - 0.5
    assert np.allclose(clip[1, :, :, 1:-1], down * columns[1:-1], atol=1e-4)


def test_the_last_frame_has_the_flow_of_the_one_before_where_it_has_none(video, write):
    write(places(11, 6, 8))
    clip = flow_clip(video, [10, 11], (0.0, 0.0, 8.0, 6.0), (6, 8), 8)
    assert np.allclose(clip[0], 10)


def test_flow_that_went_away_is_told(video, write):
    write(places(11, 6, 8))
    flow_file(video).unlink()
    with pytest.raises(OperationError, match=r"a.flow.npy' could be read before and cannot be"):
        flow_clip(video, [0], (0.0, 0.0, 8.0, 6.0), (6, 8), 8)
