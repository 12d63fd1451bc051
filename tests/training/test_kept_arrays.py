import numpy as np
import pytest

from training.kept_arrays import kept


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))


def test_what_was_made_once_is_read_and_what_is_broken_is_made_anew(tmp_path):
    made = []

    def make():
        made.append(1)
        return np.full((3, 4), len(made), dtype=np.uint8)

    assert kept("set", "a.npy", (3, 4), make).max() == 1
    assert kept("set", "a.npy", (3, 4), make).max() == 1
    (path,) = tmp_path.rglob("a.npy")
    path.write_bytes(path.read_bytes()[:-1])
    assert kept("set", "a.npy", (3, 4), make).max() == 2
    assert kept("set", "a.npy", (3, 4), make).max() == 2
    np.save(path, np.zeros((3, 5), dtype=np.uint8))
    assert kept("set", "a.npy", (3, 4), make).max() == 3


def test_where_nothing_can_be_kept_it_is_made_each_time(tmp_path):
    (tmp_path / "datasets").write_text("no folder")
    assert kept("set", "a.npy", (2,), lambda: np.ones(2, dtype=np.uint8)).tolist() == [1, 1]
