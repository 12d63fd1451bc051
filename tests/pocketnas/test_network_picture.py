"""Pictures of networks in files and from the command line."""

import json
import random
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from pocketnas.drawing import thickness
from pocketnas.network_picture import picture_of, write_picture
from search_space import catalog
from search_space.space import create as create_space
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


SPACE = (
    "size=16", "frames=4", "channels=1", "strides=small", "width=0.0625", "nodes=2",
    "dilations=1,2", "repeats=1,1,1,1", "flow_iterations=2",
)  # fmt: skip


def drawn_widths(svg):
    """Of the lines that are not dashed, those to the head left out."""
    paths = [path for path in re.findall("<path [^>]*>", svg) if "dasharray" not in path]
    widths = re.findall('stroke-width="([^"]*)"', "".join(paths))
    return sorted({float(width) for width in widths} - {1.2})


def expected_widths(told):
    weights = {weight for own in told.values() for weight in own}
    return sorted({float(f"{thickness(weight):.3g}") for weight in weights})


@pytest.mark.usefixtures("moving_bars", "made_up_device")
def test_a_searched_networks_picture_shows_the_weights_that_it_has_learned(pocketnas, tmp_path):
    pytest.importorskip("plotly")
    done = pocketnas(
        "search", "--space=assemblenet", *(f"--space-option={option}" for option in SPACE),
        "--dataset=bars:MovingBars", "--latency=made_up:DEVICE", "--target-ms=5",
        "--algorithm=random", "--trials=2", "--run=run",
    )  # fmt: skip
    assert done.code == 0, done.err
    from pocketnas.runs import load_config, open_study

    study = open_study(tmp_path / "run", load_config(tmp_path / "run"))
    told = [candidate.training.feedback for candidate in study.candidates()]
    best = json.loads(pocketnas("show", "run", "--json").out)["best"]["index"]
    for which, index in (("0", 0), ("1", 1), ("best", best)):
        assert told[index]
        assert pocketnas("arch", f"run:{which}", "--draw=net.svg").code == 0
        assert drawn_widths((tmp_path / "net.svg").read_text()) == expected_widths(told[index])
    assert pocketnas("report", "run").code == 0
    page = (tmp_path / "run/report.html").read_text()
    assert drawn_widths(page[page.index("The best network") :]) == expected_widths(told[best])


@pytest.mark.usefixtures("moving_bars")
def test_a_trained_networks_picture_shows_the_weights_that_it_has_learned(pocketnas, tmp_path):
    pytest.importorskip("torch")
    space = create_space("assemblenet", dict(option.split("=") for option in SPACE))
    network: Any = space.decode(space.points.sample(random.Random(1)))
    (tmp_path / "net.json").write_text(json.dumps(network.to_json()))
    train = ("train", "net.json", "--dataset=bars:MovingBars", "--samples=32", "--threads=1")
    done = pocketnas(*train, "--run=run")
    assert done.code == 0, done.err
    told = json.loads((tmp_path / "run/result.json").read_text())["feedback"]
    assert {name: len(own) for name, own in told.items()} == {
        name: len(edges) for name, edges in network.graph.gates.items()
    }
    assert pocketnas("arch", "run", "--draw=net.svg").code == 0
    assert drawn_widths((tmp_path / "net.svg").read_text()) == expected_widths(told)


@pytest.mark.parametrize("told", [None, {}, {"loss": [0.5]}, {"node4": [7.0]}])
def test_a_training_that_told_no_weights_is_drawn_as_none(told):
    for name in ("assemblenet-50", "assemblenet-plus-lite", "spinenet-49"):
        network = catalog.resolve(name)
        assert picture_of(network, told) == picture_of(network)
