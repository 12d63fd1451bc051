import hashlib
import io
import tarfile

import numpy as np
import pytest
import torch

from training import cifar10
from training.task import Split, create
from training.testing import TaskContract
from workspace.errors import OperationError

EACH = 40
"""Records of each file; the real ones have 10,000."""


def content(number):
    """A file of the real format: a class, then a plane each of red, green and blue."""
    rng = np.random.default_rng(number)
    records = rng.integers(0, 256, (EACH, 3073), dtype=np.uint8)
    records[:, 0] = np.arange(EACH) % 10
    return records.tobytes()


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    cifar10._data.cache_clear()
    yield cifar10.folder()
    cifar10._data.cache_clear()


@pytest.fixture
def data(place):
    place.mkdir(parents=True)
    for number, name in enumerate(cifar10.FILES):
        (place / name).write_bytes(content(number))
    return place


@pytest.mark.usefixtures("data")
class TestCifar10(TaskContract):
    size = 32

    @pytest.fixture
    def task(self):
        return create("cifar10")

    def test_a_tenth_of_the_images_for_training_is_held_out_and_each_class_of_it(self, task):
        lengths = {split: len(task.examples(split, 32)) for split in Split}
        assert lengths == {Split.TRAIN: 180, Split.VALIDATION: 20, Split.TEST: 40}
        _, labels = task.examples(Split.VALIDATION, 32).batch(torch.arange(20), None)
        assert torch.bincount(labels).tolist() == [2] * 10

    def test_an_image_is_red_then_green_then_blue_row_by_row(self, task):
        (images,), labels = task.examples(Split.TEST, 32).batch(torch.tensor([3]), None)
        record = np.frombuffer(content(5), np.uint8)[3 * 3073 : 4 * 3073]
        pixels = torch.tensor(record[1:]).reshape(3, 32, 32) / 255
        assert labels.tolist() == [record[0]]
        assert torch.allclose(images[0], pixels * 2 - 1, atol=1e-6)

    def test_an_augmented_image_is_cut_out_of_itself_with_a_border(self, task):
        examples = task.examples(Split.TEST, 32)
        (images,), _ = examples.batch(torch.arange(40), None)
        (cut,), _ = examples.batch(torch.arange(40), torch.Generator().manual_seed(0))
        padded = torch.nn.functional.pad(images, (4,) * 4, value=-1.0)
        found = set()
        for border, image in zip(padded, cut, strict=True):
            (place,) = (
                (row, column, turned)
                for row in range(9)
                for column in range(9)
                for turned in (False, True)
                if torch.equal(
                    border[:, row : row + 32, column : column + 32],
                    image.flip(-1) if turned else image,
                )
            )
            found.add(place)
        assert len(found) > 20

    def test_images_are_resized_as_a_whole(self, task):
        (small,), _ = task.examples(Split.TEST, 16).batch(torch.arange(4), None)
        (whole,), _ = task.examples(Split.TEST, 32).batch(torch.arange(4), None)
        assert small.shape == (4, 3, 16, 16)
        assert torch.allclose(small.mean((1, 2, 3)), whole.mean((1, 2, 3)), atol=0.05)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(b"", "0 bytes"), (b"\0" * 3072, "3072 bytes"), (b"\x0a" + b"\0" * 3072, "a class 10")],
)
def test_a_file_of_another_kind_is_refused(data, wrong, said):
    (data / "test_batch.bin").write_bytes(wrong)
    with pytest.raises(OperationError, match=said):
        create("cifar10").examples(Split.TEST, 32)


def archive(path, names=cifar10.FILES):
    with tarfile.open(path, "w:gz") as made:
        for number, name in enumerate(names):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = EACH * 3073
            made.addfile(member, io.BytesIO(content(number)))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_archive_is_unpacked_by_name_and_not_kept(place, tmp_path, monkeypatch):
    place.parent.mkdir(parents=True)
    names = (*cifar10.FILES, "../../outside.bin")
    path = place.parent / "cifar-10-binary.tar.gz"
    monkeypatch.setattr(cifar10, "SHA256", archive(path, names))
    assert len(create("cifar10").examples(Split.TEST, 32)) == EACH
    assert sorted(each.name for each in place.iterdir()) == sorted(cifar10.FILES)
    assert not path.exists()
    assert not list(tmp_path.rglob("outside.bin"))


def test_an_archive_that_lacks_a_file_is_refused(place, monkeypatch):
    place.parent.mkdir(parents=True)
    path = place.parent / "cifar-10-binary.tar.gz"
    monkeypatch.setattr(cifar10, "SHA256", archive(path, cifar10.FILES[:-1]))
    with pytest.raises(OperationError, match=r"cannot be unpacked .*test_batch.bin"):
        create("cifar10").examples(Split.TEST, 32)


def test_where_it_cannot_be_fetched_it_is_said_where_to_put_it(place, monkeypatch):
    monkeypatch.setattr(cifar10, "URL", "http://127.0.0.1:9/cifar-10-binary.tar.gz")
    with pytest.raises(OperationError, match=r"cannot be fetched: .*or put http.* as '.*datasets"):
        create("cifar10").examples(Split.TRAIN, 32)
    assert not place.exists()
