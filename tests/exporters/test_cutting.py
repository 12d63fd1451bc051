import numpy as np
import pytest

pytest.importorskip("torch")

from torch import nn

from exporters.cutting import blocks, prefixes
from exporters.exporter import ExportError
from exporters.litert_runtime import LiteRtModel
from exporters.testing import random_inputs
from exporters.tflite import write
from exporters.trace import to_graph
from search_space import catalog
from search_space.architecture import Classifier

IMAGE = (1, 3, 64, 64)


@pytest.fixture(scope="module")
def graph():
    network = catalog.create("mnasnet-a1").at(64).build(Classifier(classes=10))
    return to_graph(network, random_inputs(IMAGE))


def test_every_node_is_in_one_block(graph):
    found = blocks(graph)
    assert [node for block in found for node in block.nodes] == list(graph.nodes)
    assert len({block.name for block in found}) == len(found)


def test_a_residual_block_is_never_cut(graph):
    for block, prefix in zip(blocks(graph), prefixes(graph, blocks(graph)), strict=True):
        made = {node.output for node in block.nodes}
        later = [n for n in graph.nodes if n not in block.nodes and made & set(n.inputs)]
        assert {t for n in later for t in n.inputs} & made <= {block.nodes[-1].output}
        assert len(prefix.outputs) == 1


def test_the_blocks_of_mnasnet_are_its_layers(graph):
    found = blocks(graph)
    assert sum(block.name.startswith("blocks.") for block in found) == 16
    assert len(found) <= 16 + 4  # the stem, the head, the mean, the classifier
    assert sum(block.macs for block in found) == sum(graph.macs(node) for node in graph.nodes)


def test_a_prefix_computes_what_the_whole_has_there(graph, tmp_path):
    ends = prefixes(graph, blocks(graph))
    image = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype(np.float32)
    first = LiteRtModel(write(ends[0], tmp_path).path).run({"image": image})["output"]
    second = LiteRtModel(write(ends[1], tmp_path).path).run({"image": image})["output"]
    assert first.shape != second.shape or not np.allclose(first, second)
    whole = LiteRtModel(write(ends[-1], tmp_path).path).run({"image": image})["output"]
    assert whole.shape == (1, 10)
    assert np.array_equal(
        whole, LiteRtModel(write(graph, tmp_path).path).run({"image": image})["output"]
    )


def test_a_network_of_two_inputs_is_not_cut():
    class Two(nn.Module):
        def forward(self, first, second):
            return first + second

    made = to_graph(Two(), random_inputs(IMAGE, IMAGE, names=("a", "b")))
    with pytest.raises(ExportError, match="2 inputs"):
        prefixes(made, blocks(made))
