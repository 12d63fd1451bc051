"""Networks of clips from the command line: trained, searched, exported, on videos in files."""

import json
import random
from typing import Any

import numpy as np
import pytest

from search_space.space import create
from workspace.home import home

pytest.importorskip("torch")
av = pytest.importorskip("av")

SMALL = {
    "frames": "4",
    "channels": "3",
    "width": "0.0625",
    "repeats": "1,1,1,1",
    "stems": "rgb,rgb",
    "nodes": "1",
    "dilations": "1",
}


@pytest.fixture
def videos(tmp_path):
    """Ten videos of six frames in each of two classes; the name of the data set."""
    for place, name in enumerate(("dark", "light")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(10):
            with av.open(str(tmp_path / f"set/{name}/{number}.mp4"), "w") as container:
                stream = container.add_stream("mpeg4", rate=25)
                stream.width = stream.height = 32
                for time in range(6):
                    grey = 100 * place + 5 * number + time
                    frame = np.full((32, 32, 3), grey, dtype=np.uint8)
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
                container.mux(stream.encode())
    return f"videos:{tmp_path}/set"


def network(**more):
    """A member of AssembleNet's space, small."""
    space = create("assemblenet", {"size": "32", **SMALL, **more})
    return space.decode(space.points.sample(random.Random(1)))


def test_a_network_of_streams_is_trained_on_videos_and_its_files_are_checked(
    pocketnas, videos, tmp_path
):
    (tmp_path / "net.json").write_text(json.dumps(network().to_json()))
    train = (
        "train",
        "net.json",
        f"--dataset={videos}",
        "--samples=32",
        "--batch=8",
        "--threads=1",
    )
    done = pocketnas(*train, "--run=run")
    assert done.code == 0, done.err
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["dataset"] == videos
    assert {"accuracy", "calibration_error", "loss"} <= set(result["evaluations"]["test"])
    assert result["evaluations"]["test"]["examples"] == 2
    assert "32/32 clips, loss" in done.err
    assert done.out.count("of 2 clips") == 2
    assert "images" not in done.out + done.err
    exported = pocketnas("export", "run", "--warn=delegation", "-o", "out")
    assert exported.code == 0, exported.err
    assert "ok       accuracy " in exported.out
    assert list((tmp_path / "out").glob("*.tflite"))


@pytest.mark.slow
def test_a_network_that_computes_its_flow_is_quantized_on_videos_of_flat_ground(
    pocketnas, videos, tmp_path
):
    made = network(stems="rgb,flow", flow_iterations="3")
    (tmp_path / "net.json").write_text(json.dumps(made.to_json()))
    done = pocketnas(
        "export",
        "net.json",
        f"--dataset={videos}",
        "--quantize=int8",
        "--calibration-samples=16",
        "--json",
        "-o",
        "out",
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert {each["precision"] for each in found["files"]} == {"int8"}
    assert len(list((tmp_path / "out").glob("*.tflite"))) == 1


def test_what_videos_do_not_have_is_refused_before_anything_is_made(pocketnas, videos, tmp_path):
    (tmp_path / "long.json").write_text(json.dumps(network(frames="8").to_json()))
    train = ("train", "long.json", "--run=run")
    done = pocketnas(*train, f"--dataset={videos}")
    assert done.code == 2
    assert "clips of 8 frames are asked for, and 20 of the 20 videos" in done.err
    assert "dark/0.mp4 (6)" in done.err
    done = pocketnas(*train, f"--dataset=video-list:{tmp_path}/nothing.csv")
    assert done.code == 2
    assert "is no list of videos" in done.err
    done = pocketnas(*train, f"--dataset={videos},strid=4")
    assert done.code == 2
    assert "clips of videos have no setting 'strid'; there are stride, views" in done.err
    assert done.err.count("\n") == 1
    (tmp_path / "flow.json").write_text(
        json.dumps(network(flow="given", stems="rgb,flow").to_json())
    )
    done = pocketnas("train", "flow.json", "--run=run", f"--dataset={videos}")
    assert done.code == 2
    assert "takes optical flow, and 20 of the 20 videos in" in done.err
    assert done.err.count("\n") == 1
    search = ("search", "--space=assemblenet", "--space-option=frames=8", "--run=run")
    done = pocketnas(*search, f"--dataset={videos}", "--target-ms=5")
    assert done.code == 2
    assert "clips of 8 frames are asked for" in done.err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("made_up_device")
def test_networks_of_streams_are_searched_and_their_gates_are_kept(pocketnas, videos, tmp_path):
    done = pocketnas(
        "search",
        "--space=assemblenet",
        *(f"--space-option={name}={value}" for name, value in SMALL.items()),
        f"--dataset={videos}",
        "--size=32",
        "--samples=16",
        "--latency=made_up:DEVICE",
        "--target-ms=50",
        "--trials=3",
        "--algorithm=evolution",
        "--run=run",
        "--json",
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert 0 <= found["best"]["accuracy"] <= 1
    from pocketnas.runs import load_config, open_study

    study = open_study(tmp_path / "run", load_config(tmp_path / "run"))
    trained = [candidate for candidate in study.told() if candidate.training is not None]
    assert len(trained) == 3
    for candidate in trained:
        architecture: Any = candidate.architecture
        fused = sum(len(node.inputs) > 1 for node in architecture.graph.built[1])
        gates = candidate.outcome.feedback
        assert len(gates) == fused
        assert all(0 < gate < 1 for values in gates.values() for gate in values)
    assert home().is_relative_to(tmp_path)
