import json
import logging

import numpy as np
import pytest
from PIL import Image

from training import image_faults
from training.image_listing import list_images
from training.task import Split
from workspace.errors import InputError


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))


@pytest.fixture
def root(tmp_path):
    return tmp_path / "images"


def fill(place, count=10, ending="png"):
    place.mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number:03}.{ending}")


def paths(listing, split):
    return [picture.path for picture in listing.splits[split]]


def test_a_folder_a_class_is_divided_by_class_and_the_same_every_time(root):
    for name, count in (("cat", 30), ("ant", 10), ("bee", 3)):
        fill(root / name, count)
    listing = list_images(root)
    assert listing.classes == ("ant", "bee", "cat")
    counts = {
        split: np.bincount([each.label for each in listing.splits[split]]).tolist()
        for split in Split
    }
    assert counts == {
        Split.TRAIN: [8, 1, 24],
        Split.VALIDATION: [1, 1, 3],
        Split.TEST: [1, 1, 3],
    }
    everything = [path for split in Split for path in paths(listing, split)]
    assert len(set(everything)) == len(everything) == 43
    assert list_images(root) == listing


def test_new_images_move_few_of_the_others(root):
    fill(root / "ant", 100)
    fill(root / "bee", 100)
    before = list_images(root)
    (root / "ant" / "050.png").rename(root / "ant" / "new.png")
    after = list_images(root)
    moved = set(paths(before, Split.VALIDATION)) ^ set(paths(after, Split.VALIDATION))
    assert len(moved) <= 2


def test_train_val_and_test_are_taken_as_they_are(root):
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        for name in ("ant", "bee"):
            fill(root / part / name, count)
    listing = list_images(root)
    assert [len(listing.splits[split]) for split in Split] == [8, 4, 6]
    assert paths(listing, Split.VALIDATION)[0] == "val/ant/000.png"


def test_without_test_it_is_held_out_of_train(root):
    for part, count in (("train", 20), ("validation", 2)):
        for name in ("ant", "bee"):
            fill(root / part / name, count)
    listing = list_images(root)
    assert [len(listing.splits[split]) for split in Split] == [36, 4, 4]
    assert all(path.startswith("train/") for path in paths(listing, Split.TEST))


def test_a_class_may_be_called_train_and_images_may_lie_deeper(root):
    fill(root / "train", 5)
    fill(root / "tram" / "old" / "red", 5)
    (root / "tram" / "notes.txt").write_text("no image")
    (root / ".hidden").mkdir()
    listing = list_images(root)
    assert listing.classes == ("train", "tram")
    assert sum(len(listing.splits[split]) for split in Split) == 10


def test_a_corrupt_image_is_named_counted_and_left_out(root, caplog):
    fill(root / "ant")
    fill(root / "bee", ending="jpg")
    whole = (root / "bee" / "003.jpg").read_bytes()
    (root / "bee" / "003.jpg").write_bytes(whole[:-20])
    (root / "ant" / "004.png").write_bytes(b"no image")
    with caplog.at_level(logging.WARNING):
        listing = list_images(root)
    (record,) = caplog.records
    said = record.getMessage()
    assert said.startswith(f"2 of the 20 images in {root} cannot be read and are left out: ant")
    assert "bee/003.jpg: image file is truncated" in said
    assert sorted(listing.faults) == ["ant/004.png", "bee/003.jpg"]
    everything = {path for split in Split for path in paths(listing, split)}
    assert len(everything) == 18
    assert not everything & set(listing.faults)


def test_of_many_corrupt_images_twenty_are_named(root, caplog):
    fill(root / "ant", 30)
    fill(root / "bee")
    for path in sorted((root / "ant").iterdir())[:25]:
        path.write_bytes(b"")
    list_images(root)
    said = caplog.records[0].getMessage()
    assert "25 of the 40" in said
    assert said.count("ant/") == 20
    assert said.endswith("and 5 more")


def test_an_image_is_decoded_again_only_when_it_has_changed(root, monkeypatch):
    fill(root / "ant")
    fill(root / "bee")
    list_images(root)
    decoded = []
    own = image_faults.look_at

    def look_at(path):
        decoded.append(path.name)
        return own(path)

    monkeypatch.setattr(image_faults, "look_at", look_at)
    list_images(root)
    assert decoded == []
    (root / "ant" / "004.png").write_bytes(b"no image")
    assert list(list_images(root).faults) == ["ant/004.png"]
    assert decoded == ["004.png"]


def test_what_was_found_before_and_cannot_be_understood_is_found_again(root, tmp_path):
    fill(root / "ant")
    fill(root / "bee")
    expected = list_images(root)
    (kept,) = (tmp_path / "home" / "datasets" / "folders").iterdir()
    for content in ("no JSON", "[]", json.dumps({"version": 2, "images": {"ant/000.png": 3}})):
        kept.write_text(content)
        assert list_images(root) == expected


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: None, r"is not there: it is to hold a folder a class"),
        (lambda root: root.write_text(""), r"cannot be read: Not a directory"),
        (lambda root: root.mkdir(), r"has no images in class folders"),
        (lambda root: fill(root), r"has no images in class folders"),
        (lambda root: (root / "ant").mkdir(parents=True), r"has no images in class folders"),
        (lambda root: fill(root / "ant"), r"has one class only, 'ant': need two"),
    ],
)
def test_a_folder_that_is_no_data_set_is_refused(root, make, said):
    make(root)
    with pytest.raises(InputError, match=said) as caught:
        list_images(root)
    assert str(root) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_without_images_is_refused(root):
    fill(root / "ant")
    fill(root / "bee")
    (root / "cat").mkdir()
    with pytest.raises(InputError, match=r"the class 'cat' of .* has no image that can be read"):
        list_images(root)


@pytest.mark.parametrize("parts", [("train", "val"), ("train", "test"), ("train",)])
def test_images_of_splits_without_class_folders_are_refused(root, parts):
    for part in parts:
        fill(root / part)
    with pytest.raises(InputError, match=r"has no class folders in train/: each of train/") as why:
        list_images(root)
    assert "\n" not in str(why.value)


@pytest.mark.parametrize("part", ["val", "validation", "test"])
def test_a_split_without_class_folders_beside_one_that_has_them_is_refused(root, part):
    for name in ("ant", "bee"):
        fill(root / "train" / name)
    fill(root / part)
    with pytest.raises(InputError, match=rf"has no class folders in {part}/: each of train/"):
        list_images(root)


def test_a_split_whose_class_folders_are_empty_is_refused(root):
    for name in ("ant", "bee"):
        fill(root / "train" / name)
        (root / "val" / name).mkdir(parents=True)
    with pytest.raises(InputError, match=r"no images for validation: it takes .*in class folders"):
        list_images(root)


def test_its_digest_is_another_one_with_other_images_classes_or_splits(root):
    fill(root / "ant", 10)
    fill(root / "bee", 12)
    digests = [list_images(root).digest]
    assert list_images(root).digest == digests[0]

    def swap():
        (root / "ant").rename(root / "new")
        (root / "bee").rename(root / "ant")
        (root / "new").rename(root / "bee")

    def divide():
        (root / "train").mkdir()
        for name in ("ant", "cat"):
            (root / name).rename(root / "train" / name)

    for change in (
        lambda: (root / "ant" / "003.png").rename(root / "ant" / "new.png"),
        lambda: (root / "ant" / "004.png").unlink(),
        swap,
        lambda: (root / "bee").rename(root / "cat"),
        divide,
    ):
        change()
        digests.append(list_images(root).digest)
    assert len(set(digests)) == len(digests)


def test_too_few_images_to_hold_one_out_are_refused(root):
    fill(root / "ant", 2)
    fill(root / "bee", 2)
    with pytest.raises(InputError, match=r"no images for validation: a class needs 3"):
        list_images(root)


def test_a_class_that_training_does_not_have_is_refused(root):
    for place in ("train/ant", "train/bee", "val/ant", "val/cat"):
        fill(root / place, 3)
    with pytest.raises(InputError, match=r"has the class 'cat' for validation, which train/ does"):
        list_images(root)


def test_it_is_said_that_many_new_images_are_looked_through_once(root, monkeypatch, caplog):
    monkeypatch.setattr(image_faults, "MANY", 20)
    fill(root / "ant")
    fill(root / "bee")
    for _ in range(2):
        list_images(root)
    (record,) = caplog.records
    assert record.getMessage() == "looking once through 20 images that are new"
