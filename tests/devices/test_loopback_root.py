"""How the root is built, with the two long steps (Debian, LiteRT) replaced."""

import threading
import time
from pathlib import Path

import pytest

from devices.loopback import needs, root
from devices.loopback.root import ensure_root, root_path
from devices.loopback.state import shelter
from workspace.errors import OperationError


@pytest.fixture(autouse=True)
def no_long_steps(tmp_path, monkeypatch):
    """Each build leaves one line in ``builds``."""
    builds: list[Path] = []

    def install_debian(folder):
        builds.append(folder)
        folder.mkdir()
        time.sleep(0.05)

    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    monkeypatch.setattr(needs, "missing", lambda: None)
    monkeypatch.setattr(root, "_install_debian", install_debian)
    monkeypatch.setattr(root, "_install_runtime", lambda folder: folder.mkdir(parents=True))
    monkeypatch.setattr(root, "_furnish", lambda _: None)
    return builds


def test_it_is_built_once_and_says_so(no_long_steps):
    said: list[str] = []
    built = ensure_root(said.append)
    assert built == root_path()
    assert len(said) == 2
    assert "(once)" in said[0]
    assert ensure_root(said.append) == built
    assert len(said) == 2
    assert len(no_long_steps) == 1


def test_a_build_that_fails_leaves_nothing(monkeypatch):
    def fail(_):
        msg = "no space left on device"
        raise OperationError(msg)

    monkeypatch.setattr(root, "_furnish", fail)
    with pytest.raises(OperationError, match="no space left"):
        ensure_root()
    assert [path.name for path in shelter().iterdir()] == [".build-lock"]


def test_what_a_killed_build_left_is_not_used():
    half = shelter() / f".building-{root_path().name}"
    half.mkdir(parents=True)
    (half / "half-unpacked").touch()
    built = ensure_root()
    assert not (built / "half-unpacked").exists()
    assert not half.exists()


def test_several_at_once_build_one(no_long_steps):
    threads = [threading.Thread(target=ensure_root) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(no_long_steps) == 1
    assert root_path().is_dir()


def test_where_debian_cannot_be_had_it_says_what_it_takes(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("POCKETNAS_DEBIAN_MIRROR", "http://127.0.0.1:9/debian")

    def refused(*command, **_):
        msg = f"'{' '.join(str(word) for word in command)}' ended with exit code 1: E: refused"
        raise OperationError(msg)

    monkeypatch.setattr(needs, "run", refused)
    with pytest.raises(
        OperationError, match=r"could not be installed.*E: refused.*apt's"
    ) as error:
        root._install_debian(Path("/nowhere"))
    assert "http://127.0.0.1:9/debian" in str(error.value)
    assert "--force-check-gpg" in str(error.value)
    assert "debian-archive-keyring" in str(error.value)


def test_the_litert_of_the_phone_is_the_one_of_this_computer():
    from importlib.metadata import version

    assert root._pins() == (
        f"ai-edge-litert=={version('ai-edge-litert')}",
        f"numpy=={version('numpy')}",
    )
