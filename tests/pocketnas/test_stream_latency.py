"""Networks of several streams are timed here and on a phone, and in tables, as others are."""

import json
import random
from dataclasses import replace

import pytest

from latency.table import Known
from latency.table_file import load, path_of
from search_space.architecture import Architecture
from search_space.assemblenet import FlowSource
from search_space.assemblenet_networks import create as create_network
from search_space.space import create
from workspace.home import home

pytest.importorskip("torch", reason="networks become files only where torch is installed")

SMALL = {
    "size": "16", "frames": "4", "channels": "1", "strides": "small", "width": "0.25",
    "repeats": "1,1,1,1", "stems": "rgb", "nodes": "1", "dilations": "1",
}  # fmt: skip
SPACE = ("--space", "assemblenet_mobile", *(f"--space-option={k}={v}" for k, v in SMALL.items()))


@pytest.fixture
def networks(tmp_path):
    """The lite network and random members of both spaces, in files; of which one computes flow."""
    lite = create_network("assemblenet-plus-lite")
    found: list[Architecture] = [replace(lite, size=32, frames=5, flow=FlowSource.GIVEN)]
    more = {"stems": "rgb,flow", "nodes": "2", "flow_iterations": "3", "size": "24"}
    for name in ("assemblenet", "assemblenet_mobile"):
        space = create(name, {**SMALL, **more})
        found.append(space.decode(space.points.sample(random.Random(5))))
    paths = [tmp_path / f"{place}.json" for place in range(len(found))]
    for path, network in zip(paths, found, strict=True):
        path.write_text(json.dumps(network.to_json()))
    return [str(path) for path in paths]


@pytest.mark.slow
def test_networks_of_streams_are_timed_on_this_computer(timed, networks):
    found = [timed(network, "host") for network in networks]
    assert len({each["artifact_sha256"] for each in found}) == len(networks)


@pytest.mark.loopback
@pytest.mark.slow
def test_networks_of_streams_are_timed_on_a_loopback_phone(timed, networks, loopback_phones):
    (phone,) = loopback_phones(1)
    for network in networks:
        found = timed(network, f"adb:{phone.serial}")
        assert "not a phone" in found["conditions"]["device_stand_in"]


@pytest.mark.slow
@pytest.mark.usefixtures("short_sessions")
def test_a_table_of_networks_of_streams_is_really_timed_on_this_computer(pocketnas):
    """Of 315 networks, three sessions each; then one of them is answered by it, by its path."""
    done = pocketnas(
        "table", "build", *SPACE, "--classes=2", "--sessions=3", "--name=mine", "--json"
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["predicted"], found["networks"]) == (0, 20.0)
    table = load("mine")
    assert (table.head, table.classes) == ("videoclassifier", 2)
    assert table.conditions["runner"]
    assert all(entry.known is Known.MEASURED for entry in table.entries.values())
    space = create("assemblenet_mobile", SMALL)
    member = space.decode(space.points.sample(random.Random(1)))
    (home().parent / "member.json").write_text(json.dumps(member.to_json()))
    answered = pocketnas(
        "measure", "member.json", "--classes=2", f"--on=table:{path_of('mine')}", "--json"
    )
    assert answered.code == 0, answered.err
    estimate = json.loads(answered.out)
    assert estimate["ci_low_ms"] < estimate["median_ms"] < estimate["ci_high_ms"]
    assert estimate["coverage"] == 1.0


@pytest.mark.slow
@pytest.mark.usefixtures("made_up_device")
def test_a_table_of_networks_of_streams_is_searched_by_its_file(pocketnas, moving_bars, tmp_path):
    build = ("table", "build", *SPACE, "--classes=2", "--sessions=3", "--on=made_up:DEVICE")
    done = pocketnas(*build, "--name=mine")
    assert done.code == 0, done.err
    assert "20 networks it was not fitted to: 100% within 5 %" in done.out
    file = tmp_path / "elsewhere.yaml"
    path_of("mine").rename(file)
    search = (
        "search",
        *SPACE,
        f"--dataset={moving_bars}",
        "--algorithm=guided",
        f"--latency=table:{file}",
        "--target-ms=0.5",
        "--trials=4",
        "--samples=16",
        "--json",
    )
    done = pocketnas(*search, "--run=run")
    assert done.code == 0, done.err
    trials = json.loads(done.out)["trials"]
    assert len(trials) == 4
    assert {each["latency"]["origin"] for each in trials} == {"table"}
    lacking = pocketnas(*search, "--space-option=nodes=2", "--run=other")
    assert lacking.code == 2
    assert "lacks layers of the space 'assemblenet_mobile'" in lacking.err
    assert not (tmp_path / "other").exists()
