"""Pictures of networks in files and from the command line."""

import xml.etree.ElementTree as ElementTree

import pytest

from pocketnas.network_picture import write_picture
from search_space import catalog
from workspace.errors import InputError, OperationError

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", ["spinenet-49", "assemblenet-50"])
def test_a_png_is_one(name, tmp_path):
    pytest.importorskip("matplotlib")
    write_picture(catalog.resolve(name), tmp_path / "net.png")
    content = (tmp_path / "net.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 10_000


@pytest.mark.parametrize(
    ("name", "file", "error", "said"),
    [
        (
            "mnasnet-a1",
            "net.svg",
            InputError,
            "only scale-permuted networks and those of several .* family chain",
        ),
        ("spinenet-49", "net.pdf", InputError, r"ends in .svg or .png, got '.*net.pdf'"),
        ("spinenet-49", "no/net.svg", OperationError, "'.*net.svg' cannot be written: No such"),
    ],
)
def test_what_cannot_be_drawn_is_told(tmp_path, name, file, error, said):
    with pytest.raises(error, match=said):
        write_picture(catalog.resolve(name), tmp_path / file)


@pytest.mark.parametrize("name", ["spinenet-mobile-49xs", "assemblenet-plus-lite"])
def test_arch_draws(name, pocketnas, tmp_path):
    pytest.importorskip("torch")
    done = pocketnas("arch", name, "--draw", "net.svg", "--json")
    assert done.code == 0
    assert ElementTree.parse(tmp_path / "net.svg").getroot().tag == f"{SVG}svg"
