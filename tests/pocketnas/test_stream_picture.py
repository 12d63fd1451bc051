"""A network of several streams as a picture."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from pocketnas.drawing import to_svg
from pocketnas.stream_picture import picture_of
from search_space.assemblenet_networks import STRUCTURES, create
from search_space.stream_graph import StreamNode
from search_space.stream_mutations import ungated
from workspace.errors import InputError

SVG = "{http://www.w3.org/2000/svg}"


def lines_of(network, told=None):
    """The connections of a picture by their ends, those to the head left out."""
    picture = picture_of(network, told)
    return dict(zip(network.graph.edges, picture.connections, strict=False))


@pytest.mark.parametrize("name", STRUCTURES)
def test_every_stem_node_and_connection_is_drawn(name):
    network = create(name)
    picture = picture_of(network)
    root = ElementTree.fromstring(to_svg(picture))
    texts = [str(each.text) for each in root.iter(f"{SVG}text")]
    numbers = [text.split()[0] for text in texts if text.split()[0].isdigit()]
    assert [n for n in numbers if int(n) < network.graph.size][: network.graph.size]
    assert len(picture.boxes) == network.graph.size + 1
    ends = sum(node.level == 3 for node in network.graph.nodes)
    assert len(list(root.iter(f"{SVG}path"))) == len(network.graph.edges) + ends
    assert root.find(f"{SVG}title").text == network.key
    assert {"stems", "level 0", "level 1", "level 2", "level 3", "head"} <= set(texts)


def test_levels_go_to_the_right_and_nothing_lies_on_anything():
    network = create("assemblenet-50")
    boxes = picture_of(network).boxes
    columns = [network.graph.level_of(number) for number in range(network.graph.size)]
    across = {level: box.centre[0] for level, box in zip(columns, boxes, strict=False)}
    assert [across[level] for level in sorted(across)] == sorted(set(across.values()))
    assert len({box.centre for box in boxes}) == len(boxes)
    width, height = picture_of(network).size
    assert all(0 < box.centre[0] < width and 0 < box.centre[1] < height for box in boxes)


def test_lines_are_as_thick_as_their_gates():
    network = create("assemblenet-50")
    lines = lines_of(network)
    gates = {
        (source, number): gate
        for number, node in enumerate(network.graph.nodes, start=4)
        for source, gate in zip(node.inputs, node.gates or (), strict=False)
    }
    assert len(gates) == 28
    assert sorted(gates, key=gates.__getitem__) == sorted(gates, key=lambda e: lines[e].width)
    assert not any(lines[edge].is_dashed for edge in gates)
    assert all(lines[edge].is_dashed for edge in lines.keys() - gates.keys())


def test_lines_are_as_thick_as_what_a_training_told():
    network = create("assemblenet-plus-lite")
    told = {name: [0.1] * len(edges) for name, edges in network.graph.gates.items()}
    told["node10"][-1] = 0.9
    widths = {edge: line.width for edge, line in lines_of(network, told).items()}
    assert max(widths, key=widths.__getitem__) == network.graph.gates["node10"][-1]
    assert all(line.is_dashed for line in lines_of(network).values())
    with pytest.raises(InputError, match="told 0 connection weights of node2"):
        picture_of(network, {})


def test_temporal_resolutions_have_shades_that_the_key_tells():
    network = create("assemblenet-50")
    picture = picture_of(network)
    assert [text for _, _, text in picture.key] == [
        "every frame",
        "every 2 frames",
        "every 4 frames",
    ]
    shades = {colour: text for _, colour, text in picture.key}
    for node, box in zip(network.graph.nodes, picture.boxes[4:], strict=False):
        frames = "every frame" if node.dilation == 1 else f"every {node.dilation} frames"
        assert shades[box.colour] == frames
        assert box.note == f"{4 * node.filters} ch, every {node.dilation}"


def test_what_nobody_reads_is_faded():
    network = create("assemblenet-50")
    graph = ungated(network.graph)
    lonely = StreamNode(level=2, inputs=(0,), filters=8)
    more = replace(network, graph=replace(graph, nodes=(*graph.nodes, lonely)))
    assert [box.is_dead for box in picture_of(more).boxes].count(True) == 1
    assert "opacity" not in to_svg(picture_of(network))
