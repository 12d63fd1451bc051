import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from devices import releases
from devices.releases import ADDRESS, PINNED, download, release_file, release_of
from workspace.errors import InputError, OperationError


@pytest.fixture(autouse=True)
def shelter(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))


class Published:
    """A web server on this computer; what it gives can be changed."""

    def __init__(self):
        self.content = b"\x7fELF" + b"program" * 1000
        self.promised = None
        self.pause_s = 0.0
        self.asked = []
        self.address = ""


@pytest.fixture
def published():
    made = Published()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            made.asked.append(self.path)
            if "missing" in self.path:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(made.promised or len(made.content)))
            self.end_headers()
            middle = len(made.content) // 2
            self.wfile.write(made.content[:middle])
            time.sleep(made.pause_s)
            self.wfile.write(made.content[middle:])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    made.address = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def from_there(published, monkeypatch):
    monkeypatch.setattr(releases, "ADDRESS", published.address)
    return published


def test_a_release_is_fetched_once_from_its_own_address_and_its_digest_recorded(from_there):
    release = release_file("1.2.3", "arm64-v8a")
    assert release.path.read_bytes() == from_there.content
    assert release.path.stat().st_mode & 0o111
    assert release.sha256 == hashlib.sha256(from_there.content).hexdigest()
    note = json.loads(release.path.with_name("benchmark_model.json").read_text())
    assert (note["sha256"], note["bytes"]) == (release.sha256, len(from_there.content))
    assert release_file("1.2.3", "arm64-v8a") == release
    assert from_there.asked == ["/1.2.3/android_arm64/benchmark_model"]
    assert release_of(release.sha256) == "1.2.3"
    assert release_of("0" * 64) == ""


def test_the_address_is_googles_own():
    assert ADDRESS == "https://storage.googleapis.com/litert/binaries"


def test_a_copy_that_was_damaged_is_fetched_again(from_there):
    release = release_file("1.2.3", "arm64-v8a")
    release.path.write_bytes(b"damaged")
    assert release_file("1.2.3", "arm64-v8a") == release
    assert release.path.read_bytes() == from_there.content


def test_an_address_whose_content_changed_is_an_error_and_nothing_is_kept(from_there):
    release = release_file("1.2.3", "arm64-v8a")
    release.path.unlink()
    from_there.content = b"\x7fELFanother"
    with pytest.raises(OperationError, match=f"{release.sha256} was recorded: not used"):
        release_file("1.2.3", "arm64-v8a")
    assert not release.path.exists()
    assert [p.name for p in release.path.parent.iterdir()] == ["benchmark_model.json"]


def test_a_digest_that_is_pinned_holds_from_the_first_time_on(from_there, monkeypatch):
    monkeypatch.setitem(PINNED, "1.2.3", "0" * 64)
    with pytest.raises(OperationError, match="not used"):
        release_file("1.2.3", "arm64-v8a")
    good = hashlib.sha256(from_there.content).hexdigest()
    monkeypatch.setitem(PINNED, "1.2.3", good)
    assert release_file("1.2.3", "arm64-v8a").sha256 == good


@pytest.mark.parametrize("version", ["latest", "nightly", "2.3", "../../etc", "2.3.0-rc1", ""])
def test_what_names_no_fixed_release_is_refused(version, from_there):
    with pytest.raises(InputError, match=r"is no fixed version: give one such as '2\.3\.0'"):
        release_file(version, "arm64-v8a")
    assert from_there.asked == []


def test_a_processor_that_nothing_is_published_for_is_told_what_to_do(from_there):
    with pytest.raises(
        InputError, match=r"for 'armeabi-v7a', only for arm64-v8a: .* --runner PATH"
    ):
        release_file("1.2.3", "armeabi-v7a")
    assert from_there.asked == []


def test_a_download_that_is_cut_off_is_an_error(published, tmp_path):
    published.promised = len(published.content) + 5
    with pytest.raises(OperationError, match="cannot be fetched"):
        download(f"{published.address}/x", tmp_path / "x")


def test_a_download_that_is_too_large_is_an_error(published, tmp_path):
    with pytest.raises(OperationError, match="it has more than 0 MB"):
        download(f"{published.address}/x", tmp_path / "x", most_bytes=1000)


def test_a_download_ends_by_its_deadline(published, tmp_path):
    published.pause_s = 3.0
    started = time.monotonic()
    with pytest.raises(OperationError, match="cannot be fetched"):
        download(f"{published.address}/x", tmp_path / "x", timeout_s=0.5)
    assert time.monotonic() - started < 2.5


@pytest.mark.parametrize(
    ("address", "reason"),
    [("http://127.0.0.1:9/x", "refused"), ("{here}/missing", "404")],
)
def test_what_is_not_there_is_told(published, tmp_path, address, reason):
    with pytest.raises(OperationError, match=reason):
        download(address.format(here=published.address), tmp_path / "x")


def test_an_interrupted_download_leaves_nothing_that_would_be_taken_for_the_program(from_there):
    from_there.promised = len(from_there.content) + 5
    with pytest.raises(OperationError):
        release_file("1.2.3", "arm64-v8a")
    from_there.promised = None
    assert release_file("1.2.3", "arm64-v8a").path.read_bytes() == from_there.content
