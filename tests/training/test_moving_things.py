import numpy as np
import pytest

from training.moving_things import (
    FRAMES,
    SIZE,
    Motion,
    course,
    draw,
    flow_of,
    frames_of,
)

pytest.importorskip("PIL")

IMAGES = np.zeros((1, 28, 28), dtype=np.uint8)
IMAGES[0, 4:24, 8:20] = 250

MOTIONS = pytest.mark.parametrize("motion", Motion, ids=lambda motion: motion.name.lower())


def start(seed=0):
    return draw(np.random.Generator(np.random.PCG64(seed)), IMAGES)


@pytest.fixture(scope="module")
def starts():
    return [start(seed) for seed in range(800)]


@MOTIONS
def test_the_first_frame_is_the_same_whatever_the_motion_will_be(motion):
    for seed in range(5):
        begun = start(seed)
        assert np.array_equal(frames_of(begun, motion)[0], frames_of(begun, Motion.LEFT_SLOWLY)[0])


@MOTIONS
def test_a_clip_is_a_function_of_its_start_and_motion(motion):
    frames = frames_of(start(), motion)
    assert frames.shape == (FRAMES, SIZE, SIZE)
    assert frames.dtype == np.uint8
    assert np.array_equal(frames, frames_of(start(), motion))
    assert not np.array_equal(frames[0], frames[-1])


@MOTIONS
def test_where_things_are_says_nothing_of_the_motion_at_any_frame(motion, starts):
    """Evenly over the ground, and as far apart as ever: 0.1 is passed once in a million."""
    places = np.stack([course(begun, motion)[0] for begun in starts])
    axes = np.array([begun.axis for begun in starts])
    for frame in (0, 5, FRAMES - 1):
        now = places[:, frame]
        for which in (0, 1):
            for axis in (0, 1):
                assert _unevenness(now[:, which, axis]) < 0.1
        apart = (now[:, 1] - now[:, 0])[np.arange(len(axes)), axes]
        assert _unevenness(apart) < 0.1
        across = (now[:, 1] - now[:, 0])[np.arange(len(axes)), 1 - axes]
        assert np.allclose(across, 0)


def _unevenness(values):
    """Kolmogorov and Smirnov's distance from an even distribution over the ground."""
    sorted_ = np.sort(values % SIZE) / SIZE
    return np.abs(sorted_ - np.linspace(0, 1, len(sorted_))).max()


def test_directions_and_speeds_are_as_they_are_called():
    steps = {}
    for motion in tuple(Motion)[:8]:
        places, angles = course(start(3), motion)
        gone = np.diff(places, axis=0)
        assert np.allclose(gone, gone[0, 0])
        assert np.allclose(angles, angles[0])
        steps[motion] = gone[0, 0]
    for slow, fast in zip(tuple(Motion)[:8:2], tuple(Motion)[1:8:2], strict=True):
        assert 0.5 <= np.linalg.norm(steps[slow]) <= 0.9
        assert 1.6 <= np.linalg.norm(steps[fast]) <= 2.4
    down, right = steps[Motion.UP_FAST]
    assert down < 0 == right
    down, right = steps[Motion.RIGHT_SLOWLY]
    assert down == 0 < right


def test_things_that_turn_stay_where_they_are_and_turn_the_one_way_or_the_other():
    for motion, sign in ((Motion.CLOCKWISE, 1), (Motion.ANTICLOCKWISE, -1)):
        places, angles = course(start(), motion)
        assert np.allclose(places, places[0])
        turned = sign * np.diff(angles, axis=0)
        assert (turned >= 8).all()
        assert (turned <= 14).all()


def test_clockwise_is_clockwise_to_who_looks_at_it():
    """A bar that lies ahead of the turning thing's upper end moves to the right there."""
    right, _ = np.moveaxis(flow_of(start(), Motion.CLOCKWISE), 1, 0)
    places, _ = course(start(), Motion.CLOCKWISE)
    rows = np.arange(SIZE)[:, None] - places[0, 0, 0]
    above = (right[0] != 0) & (rows < -2) & (rows > -7)
    if above.any():
        assert right[0][np.broadcast_to(above, right[0].shape)].mean() > 0


def test_things_that_meet_do_so_once_and_pass_or_turn_back():
    seen = 0
    for seed in range(50):
        begun = start(seed)
        for motion in (Motion.MEET_AND_PASS, Motion.MEET_AND_RETURN):
            places, _ = course(begun, motion)
            apart = (places[:, 1] - places[:, 0])[:, begun.axis]
            around = np.abs((apart + SIZE / 2) % SIZE - SIZE / 2)
            assert around[:FRAMES].min() <= SIZE / FRAMES / 2 + 1e-9
            meeting = int(around[:FRAMES].argmin())
            if 2 <= meeting <= FRAMES - 3:
                seen += 1
                side = (apart + SIZE / 2) % SIZE - SIZE / 2
                assert (around[[meeting - 2, meeting + 2]] > 1).all()
                goes_through = side[meeting - 2] * side[meeting + 2] < 0
                assert goes_through == (motion is Motion.MEET_AND_PASS)
    assert seen > 60


@MOTIONS
def test_flow_leads_from_each_frame_to_the_next(motion):
    """Taken from where the flow leads, the next frame is nearer to the frame than as it is."""
    begun = start(7)
    frames = frames_of(begun, motion).astype(float)
    flow = flow_of(begun, motion)
    off, without = 0.0, 0.0
    for time in range(FRAMES - 1):
        rows, columns = np.nonzero(np.abs(flow[time]).sum(0) > 0.2)
        right, down = flow[time][:, rows, columns]
        led = _between(frames[time + 1], rows + down, columns + right)
        off += np.abs(led - frames[time][rows, columns]).sum()
        without += np.abs(frames[time + 1] - frames[time])[rows, columns].sum()
    assert off < 0.8 * without


def _between(frame, rows, columns):
    """Bilinear, on a ground without ends."""
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    below, aside = rows - top, columns - left
    return sum(
        (below if down else 1 - below)
        * (aside if right else 1 - aside)
        * frame[(top + down) % SIZE, (left + right) % SIZE]
        for down in (0, 1)
        for right in (0, 1)
    )


def test_flow_is_none_where_nothing_is():
    begun = start(1)
    flow, frames = flow_of(begun, Motion.DOWN_FAST), frames_of(begun, Motion.DOWN_FAST)
    still = (flow == 0).all(1)
    assert frames[still].mean() < 5
    assert still.mean() > 0.5
