"""A scale-permuted network as a picture."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from pocketnas.drawing import to_svg
from pocketnas.permuted_picture import picture_of
from search_space import catalog
from search_space.permuted_blocks import Block, BlockKind
from search_space.spinenet_networks import SCALES, create
from workspace.errors import InputError

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", SCALES)
def test_every_block_connection_and_output_is_drawn(name):
    network = create(name)
    root = ElementTree.fromstring(to_svg(picture_of(network)))
    texts = [str(each.text) for each in root.iter(f"{SVG}text")]
    features = len(network.blocks) + 2
    assert [text for text in texts if text in map(str, range(features))] == [
        str(i) for i in range(features)
    ]
    assert {text for text in texts if text.startswith("P")} == {"P3", "P4", "P5", "P6", "P7"}
    assert len(list(root.iter(f"{SVG}path"))) == sum(len(each.reads) for each in network.blocks)
    assert len(list(root.iter(f"{SVG}rect"))) == features + len(
        {"stem", *(each.kind for each in network.blocks)}
    )
    assert root.find(f"{SVG}title").text == network.key


def test_depth_goes_to_the_right_and_levels_have_rows_of_their_own():
    network = create("spinenet-mobile-49")
    boxes = picture_of(network).boxes
    assert [box.centre[0] for box in boxes] == sorted(box.centre[0] for box in boxes)
    levels = [*network.stem_levels, *(block.level for block in network.blocks)]
    rows = {level: box.centre[1] for level, box in zip(levels, boxes, strict=True)}
    assert all(box.centre[1] == rows[level] for level, box in zip(levels, boxes, strict=True))
    assert [rows[level] for level in sorted(rows)] == sorted(set(rows.values()))
    width, height = picture_of(network).size
    assert all(0 < box.centre[0] < width and 0 < box.centre[1] < height for box in boxes)


def test_what_is_added_as_it_is_is_dashed_and_what_nobody_needs_is_faded():
    network = create("spinenet-49")
    assert sum(each.is_dashed for each in picture_of(network).connections) == 1
    assert to_svg(picture_of(network)).count("stroke-dasharray") == 1
    assert "opacity" not in to_svg(picture_of(network))
    dead = Block(level=2, kind=BlockKind.RESIDUAL, parents=(0, 1))
    boxes = picture_of(replace(network, blocks=(*network.blocks, dead))).boxes
    assert [box.is_dead for box in boxes] == [False] * 17 + [True]


def test_lines_of_a_gated_network_are_as_thick_as_what_a_training_told():
    network = replace(create("spinenet-49"), gated=True)
    told = dict.fromkeys(network.gated_edges, (0.1, 0.1))
    name = next(reversed(told))
    told[name] = (0.1, 0.9)
    edges = [(s, i) for i, block in enumerate(network.blocks, start=2) for s in block.reads]
    picture = picture_of(network, told)
    widths = {edge: line.width for edge, line in zip(edges, picture.connections, strict=True)}
    assert max(widths, key=widths.__getitem__) == network.gated_edges[name][1]
    assert len(set(widths.values())) == 3  # of both weights, and of what is added as it is
    assert "as thick as its weight" in to_svg(picture)
    assert {line.width for line in picture_of(network).connections} == {1.2}
    with pytest.raises(InputError, match="told 0 connection weights of"):
        picture_of(network, {})


def test_labels_tell_how_much_smaller_a_level_is():
    labels = [text for _, text in picture_of(create("spinenet-49")).labels]
    assert labels == ["L2  1/4", "L3  1/8", "L4  1/16", "L5  1/32", "L6  1/64", "L7  1/128"]


def test_a_report_draws_the_best_network(monkeypatch):
    from pocketnas import report, runs
    from pocketnas.networks import Found, HeadName

    network = create("spinenet-49")
    found = Found(architecture=network, head=HeadName.CLASSIFIER.made(10))
    asked = []

    def trial_of(folder, which):
        asked.append((str(folder), which))
        return found

    monkeypatch.setattr(runs, "trial_of", trial_of)
    heading, picture = report._drawing({"run": "runs/a", "best": {"index": 7, "key": network.key}})
    assert heading == "<h2>The best network, trial 7</h2>"
    assert picture == to_svg(picture_of(network))
    assert asked == [("runs/a", "7")]
    chain = {"index": 7, "key": catalog.resolve("mnasnet-a1").key}
    assert report._drawing({"run": "runs/a", "best": chain}) == []
    assert report._drawing({"run": "runs/a", "best": None}) == []
