import json
import logging

import numpy as np
import pytest

from training import video_listing
from training.task import Split
from training.video_frames import length_of
from training.video_listing import list_video_classes
from workspace.errors import InputError

pytest.importorskip("av")


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))


@pytest.fixture
def folder(write_video, tmp_path):
    """Two classes of four videos each, of 5 to 8 frames."""
    for name in ("jump", "run"):
        for number in range(4):
            frames = np.full((5 + number, 32, 32, 3), 40 * number, dtype=np.uint8)
            write_video(tmp_path / f"set/{name}/{number}.mp4", frames)
    return tmp_path / "set"


def test_each_folder_is_a_class_and_splits_are_held_out(folder):
    listing = list_video_classes(folder)
    assert listing.classes == ("jump", "run")
    assert not listing.is_multi_label
    assert {split: len(videos) for split, videos in listing.splits.items()} == {
        Split.TRAIN: 4,
        Split.VALIDATION: 2,
        Split.TEST: 2,
    }
    every = [video for videos in listing.splits.values() for video in videos]
    assert len({video.path for video in every}) == 8
    for video in every:
        name, _, file = video.path.partition("/")
        assert listing.classes[video.labels[0]] == name
        assert video.length == 5 + int(file[0])


def test_a_video_that_cannot_be_decoded_is_named_counted_and_left_out(folder, caplog):
    (folder / "run/broken.mp4").write_bytes(b"no video at all")
    (folder / "run/notes.txt").write_text("no video either, and not taken for one")
    with caplog.at_level(logging.WARNING):
        listing = list_video_classes(folder)
    assert list(listing.faults) == ["run/broken.mp4"]
    (message,) = caplog.messages
    assert message.startswith(f"1 of the 9 videos in {folder} cannot be read and are left out: ")
    assert "run/broken.mp4: " in message
    assert sum(map(len, listing.splits.values())) == 8


def test_videos_that_are_not_read_to_their_end_are_counted(folder, monkeypatch, caplog):
    monkeypatch.setattr("training.video_frames.LONGEST", 6)
    monkeypatch.setattr("training.video_listing.LONGEST", 6)
    with caplog.at_level(logging.WARNING):
        listing = list_video_classes(folder)
    assert "6 of the 8 videos in" in caplog.text
    assert "6 frames or more: what comes after is not looked at" in caplog.text
    lengths = {video.length for videos in listing.splits.values() for video in videos}
    assert lengths == {5, 6}


def test_videos_are_looked_through_once_and_again_if_they_change(folder, monkeypatch):
    looked = []
    own = length_of

    def watched(path):
        looked.append(path.name)
        return own(path)

    monkeypatch.setattr(video_listing, "length_of", watched)
    first = list_video_classes(folder)
    assert len(looked) == 8
    assert list_video_classes(folder) == first
    assert len(looked) == 8
    (folder / "run/0.mp4").write_bytes(b"broken since")
    assert list(list_video_classes(folder).faults) == ["run/0.mp4"]
    assert len(looked) == 9
    (kept,) = (folder.parent / "home/datasets/videos").iterdir()
    assert len(json.loads(kept.read_text())["videos"]) == 8


def test_videos_that_are_too_short_are_named(folder):
    listing = list_video_classes(folder)
    listing.require_length(5)
    with pytest.raises(InputError, match=r"clips of 7 .* 4 of the 8 .* fewer: .*run/0.mp4 \(5\)"):
        listing.require_length(7)
    with pytest.raises(InputError, match=r"8 of the 8 videos .* and 3 more; take a network of"):
        listing.require_length(99)


def test_folders_that_are_no_data_set_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match=r"the video folder .*nowhere.* is not there"):
        list_video_classes(tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(InputError, match=r"has no videos in class folders"):
        list_video_classes(tmp_path / "bare")
    (folder / "walk").mkdir()
    with pytest.raises(InputError, match=r"the class 'walk' .* has no video that can be read"):
        list_video_classes(folder)
    (folder / "walk/a.mp4").write_bytes(b"corrupt")
    with pytest.raises(InputError, match=r"the class 'walk' .* has no video that can be read"):
        list_video_classes(folder)


def test_its_digest_is_another_one_with_other_videos(folder):
    first = list_video_classes(folder)
    assert list_video_classes(folder).digest == first.digest
    path = folder / first.splits[Split.TRAIN][0].path
    path.rename(path.with_name(f"new{path.suffix}"))
    assert list_video_classes(folder).digest != first.digest
