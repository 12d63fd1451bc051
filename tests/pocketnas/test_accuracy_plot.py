import re
import struct

import pytest

from pocketnas import accuracy_plot
from pocketnas.accuracy_plot import Compared, require_drawable, write_plot
from workspace.errors import InputError, OperationError

pytest.importorskip("matplotlib")
pytest.importorskip("plotly")

COMPARED = Compared(
    title="table:mine on a made-up device",
    predicted_ms=(10.0, 20.0, 40.0),
    measured_ms=(11.0, 19.0, 40.0),
    low_ms=(9.0, 18.0, 36.0),
    high_ms=(12.0, 22.0, 44.0),
)


def test_residuals_are_measured_over_predicted_in_percent():
    assert COMPARED.residuals == pytest.approx([10.0, -5.0, 0.0])
    assert COMPARED.span == (10.0, 40.0)
    assert COMPARED.arms == ([1.0, 2.0, 4.0], [2.0, 2.0, 4.0])


def test_a_png_is_a_picture(tmp_path):
    path = tmp_path / "plot.png"
    write_plot(COMPARED, path)
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    assert (width, height) == (1320, 600)
    assert b"table:mine" in content


def test_an_html_file_needs_no_network_and_holds_both_charts(tmp_path):
    path = tmp_path / "plot.html"
    write_plot(COMPARED, path)
    text = path.read_text()
    assert "table:mine on a made-up device" in text
    assert "measured over predicted" in text
    assert not re.search(r'<script[^>]+src="http', text)


def test_a_plot_without_intervals_has_none(tmp_path):
    bare = Compared(title="a", predicted_ms=(1.0, 2.0), measured_ms=(1.1, 2.0))
    assert bare.arms is None
    for name in ("a.png", "a.html"):
        write_plot(bare, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000


@pytest.mark.parametrize("name", ["plot.pdf", "plot", "plot.PNG"])
def test_another_ending_is_refused_by_what_there_is(name, tmp_path):
    with pytest.raises(InputError, match=r"a plot is a \.png or \.html file"):
        require_drawable(tmp_path / name)


@pytest.mark.parametrize(("name", "package"), [("a.png", "matplotlib"), ("a.html", "plotly")])
def test_a_missing_package_is_said_with_how_to_get_it(name, package, tmp_path, monkeypatch):
    monkeypatch.setattr(accuracy_plot, "find_spec", lambda _: None)
    with pytest.raises(OperationError, match=rf"needs {package}.*pip install"):
        require_drawable(tmp_path / name)


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_plot(COMPARED, tmp_path / "nowhere" / "a.png")
