import json
import logging

import pytest
from PIL import Image

from training import image_faults
from training.coco_document import CocoBox, CocoImage, document_of
from training.coco_listing import list_boxed
from training.task import Split
from workspace.errors import InputError

CLASSES = ("cat", "dog")


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))


def put(root, file, folder, count=4, classes=CLASSES, labels=(0, 1)):
    """Annotations of some images of 40 x 30 pixels, and the images."""
    images = [
        CocoImage(
            path=f"{number:03d}.png",
            width=40,
            height=30,
            boxes=(CocoBox(label=labels[number % len(labels)], corners=(1, 2, 11, 12)),),
        )
        for number in range(count)
    ]
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(json.dumps(document_of(images, classes, "")))
    (root / folder).mkdir(parents=True, exist_ok=True)
    for image in images:
        Image.new("RGB", (40, 30)).save(root / folder / image.path)


@pytest.mark.parametrize(
    ("train", "val", "folders"),
    [
        ("annotations/instances_train2017.json", "annotations/instances_val2017.json",
         ("train2017", "val2017")),
        ("annotations/train.json", "annotations/val.json", ("images/train", "images/val")),
        ("train.json", "val.json", ("train", "val")),
        ("train/_annotations.coco.json", "valid/_annotations.coco.json", ("train", "valid")),
    ],
)  # fmt: skip
def test_the_usual_folders_are_found(tmp_path, train, val, folders):
    put(tmp_path, train, folders[0], count=20)
    put(tmp_path, val, folders[1])
    (tmp_path / "annotations").mkdir(exist_ok=True)
    (tmp_path / "annotations/captions_train2017.json").write_text("{}")
    found = list_boxed(tmp_path)
    assert found.classes == CLASSES
    counts = {split: len(images) for split, images in found.splits.items()}
    assert counts == {Split.TRAIN: 18, Split.VALIDATION: 4, Split.TEST: 2}
    assert found.splits[Split.VALIDATION][0].path == f"{folders[1]}/000.png"
    held, rest = (
        {image.path for image in found.splits[split]} for split in (Split.TEST, Split.TRAIN)
    )
    assert not held & rest


def test_images_beside_the_file_in_one_folder_are_found(tmp_path):
    put(tmp_path, "train.json", "images", count=30)
    found = list_boxed(tmp_path)
    assert [len(found.splits[split]) for split in Split] == [24, 3, 3]


def test_images_that_are_missing_or_broken_are_named_and_counted(tmp_path):
    put(tmp_path, "train.json", "train", count=20)
    for number in range(7):
        (tmp_path / f"train/{number:03d}.png").unlink()
    (tmp_path / "train/010.png").write_bytes(b"no image")
    said = (
        r"of the 20 images that the annotations in '.*' name, 7 not there \(train/000.png, "
        r"train/001.png, .*, …\) and 1 not to be read \(train/010.png\)"
    )
    with pytest.raises(InputError, match=said):
        list_boxed(tmp_path)


def test_images_of_another_size_than_is_stated_are_named_and_counted(tmp_path):
    put(tmp_path, "train.json", "train", count=20)
    for number in range(7):
        Image.new("RGB", (30, 40)).save(tmp_path / f"train/{number:03d}.png")
    said = (
        r"of the 20 images that the annotations in '.*' name, 7 are of another size than is "
        r"stated \(train/000.png: 30 x 40 instead of 40 x 30, .*, …\): put the images there"
    )
    for _ in range(2):  # found out, and known
        with pytest.raises(InputError, match=said):
            list_boxed(tmp_path)


@pytest.mark.parametrize(("size", "turned"), [((40, 30), 6), ((30, 40), 6), ((40, 30), 3)])
def test_an_image_may_be_annotated_as_it_lies_or_upright(tmp_path, size, turned):
    put(tmp_path, "train.json", "train", count=20)
    exif = Image.Exif()
    exif[0x0112] = turned
    Image.new("RGB", size).save(tmp_path / "train/003.png", exif=exif)
    assert len(list_boxed(tmp_path).splits[Split.TRAIN]) == 16


def test_what_was_known_of_images_before_their_sizes_were_is_found_out_again(
    tmp_path, monkeypatch
):
    put(tmp_path, "train.json", "train", count=20)
    list_boxed(tmp_path)
    (kept,) = (tmp_path / "home/datasets/folders").iterdir()
    document = json.loads(kept.read_text())
    facts = {path: (*stamp, "") for path, (*stamp, _) in document["images"].items()}
    kept.write_text(json.dumps({**document, "version": 1, "images": facts}))
    decoded, own = [], image_faults.look_at

    def look_at(path):
        decoded.append(path)
        return own(path)

    monkeypatch.setattr(image_faults, "look_at", look_at)
    list_boxed(tmp_path)
    list_boxed(tmp_path)
    assert len(decoded) == 20


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_without_a_box_to_be_found_is_refused(tmp_path, split):
    put(tmp_path, "train.json", "train", count=20)
    put(tmp_path, "val.json", "val")
    file = tmp_path / ("train.json" if split == "train" else "val.json")
    document = json.loads(file.read_text())
    for each in document["annotations"]:
        each["iscrowd"] = 1
    file.write_text(json.dumps(document))
    with pytest.raises(InputError, match=f"have no box for {split} that is no crowd"):
        list_boxed(tmp_path)


def test_a_test_split_may_have_no_boxes(tmp_path, caplog):
    put(tmp_path, "train.json", "train", count=20)
    put(tmp_path, "test.json", "test")
    document = json.loads((tmp_path / "test.json").read_text())
    (tmp_path / "test.json").write_text(json.dumps({**document, "annotations": []}))
    with caplog.at_level(logging.WARNING):
        assert len(list_boxed(tmp_path).splits[Split.TEST]) == 4
    assert "have no box for test: cat, dog" in caplog.text


def test_classes_without_a_box_are_told(tmp_path, caplog):
    put(tmp_path, "train.json", "images", count=40, classes=("cat", "dog", "yak"))
    with caplog.at_level(logging.WARNING):
        list_boxed(tmp_path)
    assert "1 of the 3 classes in" in caplog.text
    assert "have no box for train: yak" in caplog.text


def test_other_categories_in_another_split_are_refused(tmp_path):
    put(tmp_path, "train.json", "train", count=20)
    put(tmp_path, "val.json", "val", classes=("cat", "yak"))
    with pytest.raises(InputError, match=r"other categories than the training images: dog, yak"):
        list_boxed(tmp_path)


def test_several_annotations_for_a_split_are_refused(tmp_path):
    put(tmp_path, "annotations/instances_train2014.json", "train2014")
    put(tmp_path, "annotations/instances_train2017.json", "train2017")
    with pytest.raises(InputError, match=r"several annotations for train: .*2014.*, .*2017"):
        list_boxed(tmp_path)


def test_what_is_no_such_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"nowhere' is not there: it is to hold images and their"):
        list_boxed(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file' is no folder"):
        list_boxed(tmp_path / "file")
    with pytest.raises(InputError, match="has no annotations of training images"):
        list_boxed(tmp_path)


def test_too_few_images_to_hold_any_out_are_refused(tmp_path):
    put(tmp_path, "train.json", "train", count=9)
    with pytest.raises(InputError, match="has no images for validation"):
        list_boxed(tmp_path)


def test_its_digest_is_another_one_with_other_labels_or_images(tmp_path):
    def listed(folder, **options):
        for part in ("train", "val", "test"):
            put(tmp_path / folder, f"{part}.json", part, **options)
        return list_boxed(tmp_path / folder).digest

    first = listed("first")
    assert listed("same") == first
    assert len({first, listed("labels", labels=(1, 0)), listed("images", count=5)}) == 3
