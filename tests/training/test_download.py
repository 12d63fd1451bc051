import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from training import download as module
from training.download import download
from workspace.errors import OperationError

CONTENT = b"all of it" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
ASKED: list[str] = []
"""Paths that the server was asked for."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        ASKED.append(self.path)
        if self.path != "/file":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Handler) as found:
        ASKED.clear()
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def url(server, name="file"):
    return f"http://127.0.0.1:{server.server_port}/{name}"


def test_a_file_is_fetched_once(server, tmp_path):
    path = tmp_path / "new" / "file"
    for _ in range(2):
        download(url(server), path, sha256=DIGEST, deadline_s=10)
    assert path.read_bytes() == CONTENT
    assert ASKED == ["/file"]
    assert list(path.parent.iterdir()) == [path]


def test_another_file_than_expected_is_refused_and_not_kept(server, tmp_path):
    with pytest.raises(OperationError, match=f"its sha256 is {DIGEST}, not 0{{64}}"):
        download(url(server), tmp_path / "file", sha256="0" * 64, deadline_s=10)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_is_said(server, tmp_path):
    with pytest.raises(OperationError, match=r"other cannot be fetched: HTTP Error 404"):
        download(url(server, "other"), tmp_path / "file", sha256=DIGEST, deadline_s=10)


def test_a_deadline_ends_it_and_nothing_is_left(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PIECE", 100)
    with pytest.raises(OperationError, match=r"longer than its deadline"):
        download(url(server), tmp_path / "file", sha256=DIGEST, deadline_s=0)
    assert list(tmp_path.iterdir()) == []
