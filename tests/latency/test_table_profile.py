import math
import random
from dataclasses import replace

import pytest

pytest.importorskip("torch")

from devices.op_profile import OperatorProfile, OperatorTime, read_operator_profile
from exporters.flatbuffer import tensor_names
from exporters.graph import Node, Softmax
from exporters.testing import SmallNetwork, random_inputs
from exporters.trace import to_graph
from latency.signatures import parts_of
from latency.table import Entry
from latency.table_profile import from_profile
from search_space.architecture import Classifier
from search_space.efficientnet_space import EfficientNetSpace
from search_space.efficientnet_v2_space import EfficientNetV2Space
from search_space.mnasnet import MnasNetSpace
from search_space.proxyless import ProxylessSpace
from workspace.errors import InputError

HEAD = Classifier(classes=10)


def traced(space, seed):
    network = space.decode(space.points.sample(random.Random(seed)))
    inputs = random_inputs((1, *network.inputs[0].shape), names=("image",))
    return to_graph(network.build(HEAD).eval(), inputs), parts_of(network, HEAD)


@pytest.fixture(scope="module")
def network():
    """Graph and parts of one whose blocks repeat layers."""
    graph, parts = traced(MnasNetSpace(size=32), 0)
    assert len({part.key for part in parts}) < len(parts)
    return graph, parts


def ms_of(node):
    """A time of its own for each node, exact in binary."""
    return (node.output * 37 % 64 + 1) / 1024


def row(name, ms, kind="CONV_2D"):
    return OperatorTime(name=name, type=kind, avg_ms=ms, percent=1.0, calls=1)


def told_of(graph):
    names = dict(enumerate(tensor_names(graph))) | {t: name for name, t in graph.outputs}
    rows = (row(f"[{names[n.output]}]:{at}", ms_of(n)) for at, n in enumerate(graph.nodes))
    return OperatorProfile(operators=tuple(rows))


def text_of(told):
    """As ``benchmark_model`` writes it."""
    total = sum(each.avg_ms for each in told.operators)
    shares = [100 * each.avg_ms / total for each in told.operators]
    rows = "".join(
        f"{each.type}, {each.avg_ms:g}, {each.avg_ms:.10g}, {share:.8g}%, 0%, 0, 1, {each.name}\n"
        for each, share in zip(told.operators, shares, strict=True)
    )
    return (
        "Operator-wise Profiling Info for Regular Benchmark Runs:\n"
        "============================== Run Order ==============================\n"
        "node type, first, avg_ms, %, cdf%, mem KB, times called, name\n"
        f"{rows}\n{len(shares)} nodes observed\n\n"
    )


def test_all_of_a_networks_time_is_in_its_parts(network):
    graph, parts = network
    entries = from_profile(told_of(graph), graph, parts)
    assert list(entries) == list(dict.fromkeys(part.key for part in parts))
    total_ms = math.fsum(ms_of(node) for node in graph.nodes)
    assert math.fsum(entries[part.key].ms for part in parts) == pytest.approx(total_ms)


@pytest.mark.parametrize(
    "space",
    [
        ProxylessSpace(size=32),
        MnasNetSpace(size=32),
        EfficientNetSpace(size=32),
        EfficientNetV2Space(size=32),
    ],
    ids=lambda space: space.name,
)
@pytest.mark.parametrize("seed", range(4))
def test_a_part_takes_what_the_nodes_of_its_own_block_take(space, seed):
    """Told by the names of modules; the mean over the last image is the classifier's."""
    graph, parts = traced(space, seed)
    expected: dict[str, list[float]] = {}
    for number, part in enumerate(parts):
        names = {0: "stem.", len(parts) - 2: "head."}
        start = names.get(number, f"blocks.{number - 1}.")
        starts = ("mean", "classifier") if number == len(parts) - 1 else (start,)
        took_ms = sum(ms_of(node) for node in graph.nodes if node.name.startswith(starts))
        expected.setdefault(part.key, []).append(took_ms)
    found = from_profile(told_of(graph), graph, parts)
    means = {key: sum(times) / len(times) for key, times in expected.items()}
    assert {key: entry.ms for key, entry in found.items()} == pytest.approx(means)


def test_what_follows_the_classifier_is_the_classifiers(network):
    graph, parts = network
    last = len(graph.shapes) - 1
    longer = replace(
        graph,
        shapes=(*graph.shapes, graph.shapes[last]),
        nodes=(
            *graph.nodes,
            Node(operator=Softmax(), inputs=(last,), output=last + 1, name="softmax"),
        ),
        outputs=(("output", last + 1),),
    )
    before, after = (from_profile(told_of(g), g, parts) for g in (graph, longer))
    added = {key: after[key].ms - before[key].ms for key in before}
    expected = dict.fromkeys(added, 0.0) | {parts[-1].key: ms_of(longer.nodes[-1])}
    assert added == pytest.approx(expected)


def test_a_part_that_comes_often_has_the_mean_and_variance_of_its_places(network):
    graph, parts = network
    entries = from_profile(told_of(graph), graph, parts)
    keys = [part.key for part in parts]
    for key, entry in entries.items():
        assert entry.count == keys.count(key)
        assert entry.sessions == 1
        assert entry.mad_ms is None
        assert (entry.variance_ms2 > 0) == (keys.count(key) > 1)


def test_a_file_of_the_tools_own_form_gives_the_same_entries(network):
    graph, parts = network
    read = read_operator_profile(text_of(told_of(graph)))
    found, expected = (from_profile(each, graph, parts) for each in (read, told_of(graph)))
    assert {key: each.ms for key, each in found.items()} == pytest.approx(
        {key: each.ms for key, each in expected.items()}
    )


def test_the_inside_of_a_delegate_gives_the_same_entries(network):
    graph, parts = network
    rows = told_of(graph).operators
    copy = row("Delegate/Copy:0", 0.5, "Copy (NC, X32)")
    delegate = row("[output]:0", 9.0, "TfLiteXNNPackDelegate")
    told = OperatorProfile(operators=(delegate,), inside_delegate=(*rows, copy))
    assert from_profile(told, graph, parts) == from_profile(told_of(graph), graph, parts)


def test_a_delegate_that_hides_its_operators_is_named_with_what_helps(network):
    graph, parts = network
    told = OperatorProfile(operators=(row("[output]:0", 9.0, "TfLiteXNNPackDelegate"),))
    with pytest.raises(InputError, match="inside 'TfLiteXNNPackDelegate'") as refused:
        from_profile(told, graph, parts)
    assert "--use_xnnpack=false" in str(refused.value)


def test_a_profile_of_another_network_is_refused_with_both_counts(network):
    graph, parts = network
    other, _ = traced(MnasNetSpace(size=32), 1)
    counts = f"{len(other.nodes)} operators are not those of this network, which has"
    with pytest.raises(InputError, match=counts):
        from_profile(told_of(other), graph, parts)


def test_a_graph_that_is_not_of_these_parts_is_refused(network):
    graph, parts = network
    blocks = len(parts)
    with pytest.raises(InputError, match=f"{blocks} blocks, which are not its {blocks - 1} parts"):
        from_profile(told_of(graph), graph, parts[:-1])
    with pytest.raises(InputError, match=f"which are not its {blocks} parts"):
        from_profile(told_of(graph), graph, (replace(parts[0], macs=1), *parts[1:]))


def test_a_network_of_no_chain_is_refused(network):
    graph = to_graph(SmallNetwork(), random_inputs((1, 3, 16, 20)))
    with pytest.raises(InputError, match="its profile says nothing of them"):
        from_profile(told_of(graph), graph, network[1])


def test_a_node_that_took_no_time_that_could_be_measured_is_no_failure(network):
    graph, parts = network
    rows = tuple(replace(each, avg_ms=0.0) for each in told_of(graph).operators)
    entries = from_profile(OperatorProfile(operators=rows), graph, parts)
    assert entries[parts[0].key] == Entry(ms=0.0, variance_ms2=0.0, count=1, sessions=1)
