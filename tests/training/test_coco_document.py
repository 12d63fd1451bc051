import json
import logging

import pytest

from training.coco_document import CocoBox, CocoImage, document_of, read_file
from workspace.errors import InputError

IMAGES = (
    CocoImage(
        path="a.png", width=40, height=30, boxes=(CocoBox(label=1, corners=(1, 2, 11, 22)),)
    ),
    CocoImage(
        path="b.png",
        width=20,
        height=20,
        boxes=(
            CocoBox(label=0, corners=(0, 0, 20, 20), is_crowd=True),
            CocoBox(label=0, corners=(2.5, 3, 4, 5)),
        ),
    ),
)


@pytest.fixture
def written(tmp_path):
    """Writes a document of the two images, changed by a function; its path."""

    def write(change=None):
        document = document_of(IMAGES, ("cat", "dog"), "two images")
        if change is not None:
            change(document)
        path = tmp_path / "train.json"
        path.write_text(json.dumps(document))
        return path

    return write


def test_what_is_written_is_read_again(written):
    found = read_file(written())
    assert found.classes == ("cat", "dog")
    assert found.images == IMAGES


def test_categories_are_in_the_order_of_their_numbers(written):
    def renumber(document):
        document["categories"] = [{"id": 90, "name": "cat"}, {"id": 7, "name": "dog"}]
        for each in document["annotations"]:
            each["category_id"] = {1: 90, 2: 7}[each["category_id"]]

    found = read_file(written(renumber))
    assert found.classes == ("dog", "cat")
    assert [box.label for image in found.images for box in image.boxes] == [0, 1, 1]


def test_boxes_beyond_images_are_cut_to_them_or_left_out_and_counted(written, caplog):
    def move(document):
        document["annotations"][0]["bbox"] = [30, 20, 20, 20]
        document["annotations"][2]["bbox"] = [25, 0, 5, 5]

    with caplog.at_level(logging.WARNING):
        found = read_file(written(move))
    assert found.images[0].boxes[0].corners == (30, 20, 40, 30)
    assert len(found.images[1].boxes) == 1
    assert "of the 3 boxes" in caplog.text
    assert "1 reach beyond their images and are cut to them, and 1 have nothing" in caplog.text


def damaged(key, value):
    def change(document):
        document["annotations"][0][key] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda document: document.pop("categories"), "it lacks 'categories'"),
        (lambda document: document["categories"].clear(), "has no categories"),
        (damaged("image_id", 9), "an annotation, 1, of image 9, which it does not have"),
        (damaged("category_id", 9), "an annotation, 1, of category 9, which it does not have"),
        (damaged("bbox", [1, 2, 3]), "not enough values"),
        (damaged("bbox", [1, 2, -3, 4]), r"the box of annotation 1 is \[1, 2, -3, 4\]"),
        (damaged("bbox", [1, 2, float("nan"), 4]), "the box of annotation 1 is"),
        (damaged("bbox", [1, 2, 10**400, 4]), "int too large to convert to float"),
        (damaged("image_id", float("inf")), "image_id is inf, which is no whole number"),
        (lambda document: document["images"][0].update(width=0), "image 1 is of 0 x 30 pixels"),
        (
            lambda document: document["images"][0].update(width=float("inf")),
            "in COCO's format: width is inf, which is no whole number",
        ),
        (lambda document: document["images"][1].update(id=1), "several images of number 1"),
        (
            lambda document: document["categories"][1].update(id=1),
            "several categories of number 1",
        ),
        (
            lambda document: document["categories"][1].update(name="cat"),
            "several categories of name 'cat'",
        ),
    ],
)
def test_what_is_no_such_document_is_refused(written, change, said):
    with pytest.raises(InputError, match=said):
        read_file(written(change))


def test_a_file_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "train.json").write_text("{")
    with pytest.raises(InputError, match=r"train.json' has no annotations in COCO's format"):
        read_file(tmp_path / "train.json")
