import errno
import re
from dataclasses import replace
from io import BytesIO

import pytest

from pocketnas import accuracy_plot
from pocketnas.accuracy_plot import Compared, require_drawable, write_plot
from workspace.errors import InputError, OperationError

pytest.importorskip("plotly")
images = pytest.importorskip("matplotlib.image")

COMPARED = Compared(
    title="table:mine on a made-up device",
    predicted_ms=(10.0, 20.0, 40.0),
    measured_ms=(11.0, 19.0, 41.0),
    low_ms=(9.0, 18.0, 36.0),
    high_ms=(12.0, 23.0, 45.0),
)


def drawn(compared, path):
    write_plot(compared, path)
    return path.read_bytes()


def test_residuals_are_measured_over_predicted_in_percent():
    assert COMPARED.residuals == pytest.approx([10.0, -5.0, 2.5])
    assert COMPARED.span == (10.0, 41.0)
    assert COMPARED.arms == ([1.0, 2.0, 4.0], [2.0, 3.0, 5.0])


def test_a_png_decodes_to_a_picture_of_two_charts_under_its_title(tmp_path):
    content = drawn(COMPARED, tmp_path / "plot.png")
    assert b"table:mine on a made-up device" in content
    picture = images.imread(BytesIO(content), format="png")
    assert picture.shape[:2] == (600, 1320)
    inked = (picture[..., :3] < 0.9).any(axis=-1)
    halves = inked[:, :660], inked[:, 660:]
    assert all(0.005 < half.mean() < 0.3 for half in halves)


def test_another_measurement_makes_another_picture_and_the_same_the_same(tmp_path):
    first, again = (drawn(COMPARED, tmp_path / name) for name in ("a.png", "b.png"))
    moved = replace(COMPARED, measured_ms=(11.0, 25.0, 41.0))
    assert first == again != drawn(moved, tmp_path / "c.png")


def test_an_html_file_needs_no_network_and_holds_the_numbers_of_both_charts(tmp_path):
    text = drawn(COMPARED, tmp_path / "plot.html").decode()
    assert "table:mine on a made-up device" in text
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=.http", text)
    assert "Plotly.newPlot" in text
    assert len(text) > 1_000_000, "plotly itself has to be inside"
    predicted, measured, residuals = "[10.0,20.0,40.0]", "[11.0,19.0,41.0]", "[10.0"
    assert f'"x":{predicted},"y":{measured}' in text
    assert f'"x":{measured},"y":{residuals}' in text
    assert '"array":[2.0,3.0,5.0],"arrayminus":[1.0,2.0,4.0]' in text
    assert "measured over predicted, less 1, %" in text


def test_a_title_is_text_and_no_markup_of_the_page(tmp_path):
    text = drawn(replace(COMPARED, title="</script><b>x"), tmp_path / "a.html").decode()
    assert "</script><b>x" not in text


@pytest.mark.parametrize("name", ["a.png", "a.html"])
def test_a_plot_without_intervals_has_none(name, tmp_path):
    bare = replace(COMPARED, low_ms=(), high_ms=())
    assert bare.arms is None
    content = drawn(bare, tmp_path / name)
    assert b"arrayminus" not in content.rpartition(b"Plotly.newPlot")[2]
    assert content != drawn(COMPARED, tmp_path / name)


@pytest.mark.parametrize("name", ["plot.pdf", "plot", "plot.PNG", ".png"])
def test_another_ending_is_refused_by_what_there_is_before_anything_is_drawn(
    name, tmp_path, monkeypatch
):
    monkeypatch.setattr(accuracy_plot, "_png", None)
    monkeypatch.setattr(accuracy_plot, "_html", None)
    for refused in (require_drawable, lambda path: write_plot(COMPARED, path)):
        with pytest.raises(InputError, match=r"a plot is a \.png or \.html file, got '.*'"):
            refused(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "package"), [("a.png", "matplotlib"), ("a.html", "plotly")])
def test_a_missing_package_is_said_with_how_to_get_it(name, package, tmp_path, monkeypatch):
    monkeypatch.setattr(accuracy_plot, "find_spec", lambda _: None)
    with pytest.raises(OperationError, match=rf"needs {package}") as refused:
        require_drawable(tmp_path / name)
    assert "pip install 'pocketnas[train]'" in str(refused.value)


def test_a_folder_that_is_not_there_is_said_before_anything_is_measured(tmp_path):
    with pytest.raises(InputError, match=r"no folder '.*nowhere'"):
        require_drawable(tmp_path / "nowhere" / "a.png")
    require_drawable(tmp_path / "a.png")


def test_a_folder_of_that_name_is_said_before_anything_is_measured(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(InputError, match=r"'.*a\.png' is a folder"):
        require_drawable(tmp_path / "a.png")


def test_a_full_disk_is_said_and_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = drawn(COMPARED, tmp_path / "a.png")
    monkeypatch.setattr("workspace.files.os.fsync", full)
    with pytest.raises(OperationError, match=r"a\.png' cannot be written: No space left on devic"):
        write_plot(COMPARED, tmp_path / "a.png")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]
