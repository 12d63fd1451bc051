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


@pytest.mark.parametrize("rare", "abcdef")
def test_each_class_keeps_a_video_for_training_whatever_else_a_video_is_of(folder, rare):
    lines = "".join(
        f"clips/{name}.mp4,{'run' if name in 'abc' else 'jump'}{';rare' * (name == rare)}\n"
        for name in "abcdef"
    )
    (folder / "list.csv").write_text(f"path,labels\n{lines}")
    found = told(list_videos(folder / "list.csv"))
    for split in (Split.VALIDATION, Split.TEST):
        assert not any("rare" in labels for labels in found[split].values())
        assert len(found[split]) == 2
    labels = {label for own in found[Split.TRAIN].values() for label in own}
    assert labels == {"run", "jump", "rare"}


def test_what_only_the_last_videos_of_classes_could_be_held_out_of_is_refused(folder):
    (folder / "list.csv").write_text(
        "path,labels\nclips/a.mp4,run;one\nclips/b.mp4,run;two\nclips/c.mp4,run;three\n"
    )
    with pytest.raises(InputError, match=r"has none for validation: .* and keeps one"):
        list_videos(folder / "list.csv")


@pytest.mark.parametrize("again", ["./clips/a.mp4", "clips//a.mp4", "clips/../clips/a.mp4", "abs"])
def test_one_file_is_one_video_however_it_is_spelled(folder, again):
    again = str(folder / "clips/a.mp4") if again == "abs" else again
    (folder / "list.csv").write_text(
        f"path,label,split\nclips/a.mp4,run,train\n{again},jump,test\n"
    )
    with pytest.raises(InputError, match=r"line 3 names 'clips/a.mp4' again, which .*line 2 has"):
        list_videos(folder / "list.csv")
    (folder / "list.csv").write_text(
        f"path,label,split\n{again},run,train\n./clips/b.mp4,jump,train\n"
        "clips/c.mp4,run,val\nclips/d.mp4,run,test\n"
    )
    assert set(told(list_videos(folder / "list.csv"))[Split.TRAIN]) == {
        "clips/a.mp4",
        "clips/b.mp4",
    }


def test_a_link_is_the_file_that_it_leads_to(folder, tmp_path):
    (folder / "linked").symlink_to(folder / "clips")
    (tmp_path / "away").mkdir()
    (folder / "clips/e.mp4").rename(tmp_path / "away/e.mp4")
    (folder / "away").symlink_to(tmp_path / "away")
    lines = "clips/b.mp4,run,train\nclips/c.mp4,run,val\nclips/d.mp4,run,test\n"
    header = "path,label,split\n"
    (folder / "list.csv").write_text(f"{header}{lines}linked/b.mp4,jump,train\n")
    with pytest.raises(InputError, match=r"line 5 names 'clips/b.mp4' again"):
        list_videos(folder / "list.csv")
    outside = tmp_path / "away/e.mp4"
    (folder / "list.csv").write_text(
        f"{header}{lines}away/e.mp4,jump,train\n{outside},jump,test\n"
    )
    with pytest.raises(InputError, match=r"line 6 names .*away/e.mp4' again"):
        list_videos(folder / "list.csv")
    (folder / "list.csv").write_text(f"{header}{lines}away/e.mp4,jump,train\n")
    assert "away/e.mp4" in told(list_videos(folder / "list.csv"))[Split.TRAIN]


HEADER = "youtube_id,label,split,time_start,time_end\n"


def test_missing_segments_of_one_video_are_named_by_their_cuts_and_left_out(folder, caplog):
    (folder / "list.csv").write_text(
        f"{HEADER}a,run,train,,\nb,jump,train,,\nc,run,val,,\nd,jump,test,,\n"
        "gone,run,train,5,15\ngone,jump,train,25,35\n"
    )
    with caplog.at_level(logging.WARNING):
        listing = list_videos(folder / "list.csv")
    assert listing.faults == dict.fromkeys(
        ("gone_000005_000015.mp4", "gone_000025_000035.mp4"), "it is not there"
    )
    assert "2 of the 6 videos in" in caplog.text
    assert "gone_000005_000015.mp4: it is not there" in caplog.text


def test_of_an_uncut_file_the_seconds_of_its_line_are_read(folder, write_video):
    frames = np.full((40, 32, 32, 3), 100, dtype=np.uint8)
    write_video(folder / "whole/long.mp4", frames, rate=5)
    (folder / "list.csv").write_text(
        f"{HEADER}a,run,train,,\nb,jump,train,,\nc,run,val,,\nlong,jump,test,0,3\n"
        "long,run,test,3,6\n"
    )
    listing = list_videos(folder / "list.csv")
    assert {video.path: video.length for video in listing.splits[Split.TEST]} == {
        "whole/long.mp4#t=0,3": 15,
        "whole/long.mp4#t=3,6": 15,
    }
    assert not listing.faults
    assert list_videos(folder / "list.csv") == listing
    write_video(folder / "whole/long.mp4", frames[:25], rate=5)
    assert list_videos(folder / "list.csv").splits[Split.TEST][1].length == 10
    (folder / "list.csv").write_text(f"{HEADER}long,run,train,0,3\nlong,jump,test,0,3\n")
    with pytest.raises(InputError, match=r"line 3 names 'whole/long.mp4#t=0,3' again"):
        list_videos(folder / "list.csv")


def test_a_file_no_longer_than_the_seconds_of_its_line_is_cut_to_them(folder, write_video):
    frames = np.full((20, 32, 32, 3), 100, dtype=np.uint8)
    write_video(folder / "clips/a.mp4", frames, rate=5)
    lines = "b,jump,train,7,17\nc,run,val,1,11\nd,jump,test,2,12\n"
    for start, end in ((30, 34), (1, 4), (10, 12)):  # the last was cut at key frames
        (folder / "list.csv").write_text(f"{HEADER}a,run,train,{start},{end}\n{lines}")
        videos = list_videos(folder / "list.csv").splits[Split.TRAIN]
        assert {v.path: v.length for v in videos} == {"clips/a.mp4": 20, "clips/b.mp4": 4}
    (folder / "list.csv").write_text(f"{HEADER}a,run,train,30,34\na,run,train,40,44\n{lines}")
    with pytest.raises(InputError, match=r"line 3 names 'clips/a.mp4' again"):
        list_videos(folder / "list.csv")


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
        (
            "youtube_id,label,time_start,time_end\na,run,15,5\n",
            r"line 2 ends before it begins, in seconds: \['15', '5'\]",
        ),
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
