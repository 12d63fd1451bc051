import logging

import numpy as np
import pytest

from training.task import Split
from training.video_list import list_videos
from workspace.errors import InputError

pytest.importorskip("av")


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))


@pytest.fixture
def folder(write_video, tmp_path):
    """Six videos of 4 frames in ``clips/``."""
    for name in "abcdef":
        frames = np.full((4, 32, 32, 3), 100, dtype=np.uint8)
        write_video(tmp_path / f"set/clips/{name}.mp4", frames)
    return tmp_path / "set"


def told(listing):
    """Names of classes of each video, by split and path."""
    return {
        split: {
            video.path: tuple(listing.classes[label] for label in video.labels) for video in videos
        }
        for split, videos in listing.splits.items()
    }


def test_a_line_is_a_video_with_its_class_and_split(folder):
    (folder / "list.csv").write_text(
        "path,label,split\n"
        "clips/a.mp4,run,train\nclips/b.mp4,jump,train\n"
        "clips/c.mp4,run,val\nclips/d.mp4,jump,validate\nclips/e.mp4,run,test\n"
    )
    listing = list_videos(folder / "list.csv")
    assert listing.classes == ("jump", "run")
    assert not listing.is_multi_label
    assert told(listing) == {
        Split.TRAIN: {"clips/a.mp4": ("run",), "clips/b.mp4": ("jump",)},
        Split.VALIDATION: {"clips/c.mp4": ("run",), "clips/d.mp4": ("jump",)},
        Split.TEST: {"clips/e.mp4": ("run",)},
    }


def test_kinetics_lists_find_their_files_wherever_they_lie(folder, write_video):
    frames = np.full((4, 32, 32, 3), 100, dtype=np.uint8)
    write_video(folder / "val/run/Xy_9-_000010_000020.mkv", frames)
    header = "label,youtube_id,time_start,time_end,split\n"
    (folder / "train.csv").write_text(f"{header}run,a,0,10,train\njump,b,3,13,train\n")
    (folder / "validate.csv").write_text(f"{header}run,Xy_9-,10,20,validate\n")
    (folder / "test.csv").write_text(f"{header}jump,c,0,10,test\n")
    assert told(list_videos(folder)) == {
        Split.TRAIN: {"clips/a.mp4": ("run",), "clips/b.mp4": ("jump",)},
        Split.VALIDATION: {"val/run/Xy_9-_000010_000020.mkv": ("run",)},
        Split.TEST: {"clips/c.mp4": ("jump",)},
    }


def test_several_labels_are_separated_by_semicolons(folder):
    (folder / "list.csv").write_text(
        "path,labels,split\n"
        "clips/a.mp4,run; jump,train\nclips/b.mp4,jump;jump,train\n"
        "clips/c.mp4,run,val\nclips/d.mp4,jump,test\n"
    )
    listing = list_videos(folder / "list.csv")
    assert listing.is_multi_label
    assert told(listing)[Split.TRAIN] == {
        "clips/a.mp4": ("run", "jump"),
        "clips/b.mp4": ("jump",),
    }


def test_splits_that_no_line_has_are_held_out_of_the_training_videos(folder):
    lines = "".join(
        f"clips/{name}.mp4,{'run' if name in 'abc' else 'jump'}\n" for name in "abcdef"
    )
    (folder / "list.csv").write_text(f"path,label\n{lines}")
    found = told(list_videos(folder / "list.csv"))
    assert {split: len(videos) for split, videos in found.items()} == {
        Split.TRAIN: 2,
        Split.VALIDATION: 2,
        Split.TEST: 2,
    }
    assert all(len(set(videos.values())) == 2 for videos in found.values())


def test_videos_that_are_missing_or_broken_are_named_counted_and_left_out(folder, caplog):
    (folder / "clips/f.mp4").write_bytes(b"broken")
    (folder / "list.csv").write_text(
        "youtube_id,label,split\na,run,train\nb,jump,train\nc,run,val\nd,jump,test\n"
        "f,run,train\ngone,jump,train\n"
    )
    with caplog.at_level(logging.WARNING):
        listing = list_videos(folder / "list.csv")
    assert listing.faults["gone.mp4"] == "it is not there"
    assert set(listing.faults) == {"gone.mp4", "clips/f.mp4"}
    assert "2 of the 6 videos in" in caplog.text
    assert sum(map(len, listing.splits.values())) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"needs a first line with the column path .* got nothing"),
        ("path,kind\nclips/a.mp4,run\n", r"either label or labels, got path, kind"),
        ("path,label,labels\nclips/a.mp4,run,run\n", r"either label or labels"),
        ("path,label\nclips/a.mp4,\n", r"list.csv, line 2 of .* lacks a label"),
        ("path,label\n,run\n", r"list.csv, line 2 of .* lacks a path"),
        (
            "path,label,split\nclips/a.mp4,run,dev\n",
            r"line 2 has the split 'dev'; there are train",
        ),
        ("youtube_id,label,time_start\na,run,soon\n", r"line 2 has no times in seconds"),
        ("path,label\nclips/a.mp4,run\nclips/a.mp4,jump\n", r"line 3 names .*a.mp4' again"),
        ("path,label\nclips/a.mp4,run\nclips/b.mp4,run\n", r"needs two classes at least"),
        (
            "path,label,split\nclips/a.mp4,run,train\nclips/b.mp4,jump,val\n",
            r"the class 'jump' of the list .* has no training video",
        ),
        (
            "path,label\nclips/a.mp4,run\nclips/b.mp4,jump\n",
            r"has none for validation: a class needs 3",
        ),
        ("path,label\nclips/\xff.mp4,run\n", r"cannot be read: 'utf-8'"),
    ],
)
def test_lists_that_are_none_are_refused_with_their_line(folder, content, message):
    (folder / "list.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        list_videos(folder / "list.csv")


def test_a_folder_without_lists_and_nothing_at_all_are_refused(folder):
    with pytest.raises(InputError, match=r"is no list of videos: it is to be a CSV file, or"):
        list_videos(folder)
    with pytest.raises(InputError, match=r"is no list of videos"):
        list_videos(folder / "nowhere.csv")


def test_lists_with_one_label_and_with_several_are_not_mixed(folder):
    (folder / "train.csv").write_text("path,label\nclips/a.mp4,run\nclips/b.mp4,jump\n")
    (folder / "val.csv").write_text("path,labels\nclips/c.mp4,run;jump\n")
    with pytest.raises(InputError, match=r"have some a label and some labels"):
        list_videos(folder)
