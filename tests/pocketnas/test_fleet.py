"""Searches for several devices, as a person would run them."""

import json
from dataclasses import replace

import pytest

from latency.table_file import load, write
from pocketnas.config import SearchConfig
from workspace.errors import InputError

TWO = (
    "search", "--space=proxyless", "--dataset=analytic-standin", "--run=run",
    "--fleet=table:pixel1@110", "--fleet=mine=table:mine.yaml@120",
)  # fmt: skip


@pytest.fixture
def mine(tmp_path):
    """A second table: large kernels take twice Pixel 1's time, small ones half of it."""
    table = load("pixel1")
    factors = {"kernel:3": 0.5, "kernel:7": 2.0}
    entries = {
        key: replace(
            entry, ms=entry.ms * next((f for name, f in factors.items() if name in key), 1.0)
        )
        for key, entry in table.entries.items()
    }
    write(replace(table, entries=entries, conditions={}), tmp_path / "mine.yaml")


def refused(done, *words):
    assert done.code == 2, done
    assert len(done.err.strip().splitlines()) == 1, done.err
    for word in words:
        assert word in done.err, done.err


def shown(pocketnas):
    done = pocketnas("show", "run", "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


@pytest.mark.usefixtures("mine")
def test_a_search_for_two_devices_tells_loads_as_loads_and_each_devices_own_best(pocketnas):
    done = pocketnas(*TWO, "--trials=40", "--reward=hard")
    assert done.code == 0, done.err
    assert "a fleet (worst) of table:pixel1 within 110 ms, mine within 120 ms (hard)" in done.out
    assert "predicted load" in done.out
    assert "predicted ms" not in done.out
    assert "to accuracy 1 at load 0" in done.out
    assert "(as ARCH: run:best@DEVICE):" in done.out
    assert " at load " in done.err
    facts = shown(pocketnas)
    assert facts["unit"] == "load"
    for trial in facts["trials"]:
        latency = trial["latency"]
        assert "latency_ms" not in latency
        loads = [each["load"] for each in latency["devices"]]
        assert latency["load"] == max(loads)
        times_ms = [each["latency"]["latency_ms"] for each in latency["devices"]]
        assert loads == [times_ms[0] / 110, times_ms[1] / 120]
    assert facts["best"]["predicted_load"] == facts["best"]["latency"]["load"]
    assert facts["best"]["measured_load"] is None
    pixel, mine = facts["fleet"]["devices"]
    assert (pixel["source"], mine["source"]) == ("table:pixel1", "table:mine.yaml")
    for place, device in enumerate((pixel, mine)):
        inside = [
            trial["accuracy"]
            for trial in facts["trials"]
            if trial["latency"]["devices"][place]["load"] <= 1
        ]
        assert device["best"]["reward"] == max(inside)
        assert device["best"]["predicted_ms"] <= device["target_ms"]
        assert device["best"]["index"] in device["front"]


@pytest.mark.usefixtures("mine")
def test_every_network_of_a_fleet_has_a_name(pocketnas):
    pytest.importorskip("torch")
    assert pocketnas(*TWO, "--trials=20").code == 0
    facts = shown(pocketnas)
    for text, index in [
        ("run:best", facts["best"]["index"]),
        ("run:best@table:pixel1", facts["fleet"]["devices"][0]["best"]["index"]),
        ("run:best@mine", facts["fleet"]["devices"][1]["best"]["index"]),
    ]:
        done = pocketnas("arch", text, "--json")
        assert done.code == 0, done.err
        assert json.loads(done.out)["key"] == facts["trials"][index]["key"]
    refused(pocketnas("arch", "run:best@his"), "no device 'his'", "table:pixel1, mine")


def test_a_run_for_one_device_has_no_best_for_another(pocketnas):
    done = pocketnas(
        "search", "--space=proxyless", "--latency=table:pixel1", "--dataset=analytic-standin",
        "--target-ms=75", "--trials=3", "--run=run",
    )  # fmt: skip
    assert done.code == 0, done.err
    refused(pocketnas("arch", "run:best@mine"), "no device 'mine'", "no search for a fleet")
    assert shown(pocketnas)["fleet"] is None
    assert "fleet" not in SearchConfig.load(None, {"target_ms": 1.0}).to_toml()


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    ("rule", "algorithm"),
    [("weighted", "evolution"), ("each", "evolution"), ("each", "surrogate")],
)
def test_a_run_is_replayed_and_resumed_by_every_rule(pocketnas, tmp_path, rule, algorithm):
    done = pocketnas(*TWO, "--trials=30", f"--fleet-rule={rule}", f"--algorithm={algorithm}")
    assert done.code == 0, done.err
    before = shown(pocketnas)
    assert pocketnas("replay", "run").code == 0
    assert pocketnas("resume", "run").code == 0
    assert shown(pocketnas) == before
    config = (tmp_path / "run" / "config.toml").read_text()
    assert f'fleet_rule = "{rule}"' in config
    assert config.count("[[fleet]]") == 2


@pytest.mark.usefixtures("mine")
def test_a_report_shows_loads_and_each_devices_own(pocketnas, tmp_path):
    pytest.importorskip("plotly")
    assert pocketnas(*TWO, "--trials=5").code == 0
    assert pocketnas("report", "run").code == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<h2>One network for each device</h2>" in page
    assert "Accuracy against load" in page
    assert "load (1 is at the target)" in page
    assert "<th>mine ms</th>" in page
    assert "<th>predicted ms</th>" not in page


@pytest.mark.slow
@pytest.mark.usefixtures("made_up_device", "mine")
def test_a_device_beside_a_table_is_timed_and_measured_again_at_the_end(pocketnas):
    done = pocketnas(
        "search", "--space=proxyless", "--dataset=analytic-standin", "--trials=4", "--run=run",
        "--fleet=phone=made_up:DEVICE@20", "--fleet=table:pixel1@75", "--preset=quick",
        "--final-preset=quick", "--algorithm=random",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "stand-in: no device: draws times from a seeded distribution" in done.out
    facts = shown(pocketnas)
    for trial in facts["trials"]:
        phone, table = (each["latency"] for each in trial["latency"]["devices"])
        assert phone["origin"] in ("measured", "stored")
        assert len(phone["sessions"]) >= 3
        assert phone["conditions"]["device_model"] == "Fake 1"
        assert (table["origin"], table["conditions"]) == ("table", None)
    assert all(member["measured_load"] is not None for member in facts["front"])
    phone, table = facts["fleet"]["devices"]
    assert phone["best"]["measured_ms"] is not None
    assert table["best"]["measured_ms"] is None
    (timed,) = facts["exported"]["on_devices"]
    assert (timed["name"], facts["exported"]["latency"]) == ("phone", None)
    exported = pocketnas("export", "run:best@phone", "-o", "out", "--json")
    assert exported.code == 0, exported.err


@pytest.mark.slow
@pytest.mark.usefixtures("made_up_device")
def test_the_weights_of_each_devices_best_are_kept(pocketnas, tmp_path):
    done = pocketnas(
        "search", "--dataset=digits", "--samples=64", "--trials=4", "--run=run",
        "--fleet=quick=made_up:DEVICE@0.2", "--fleet=slow=made_up:SLOWER@0.9",
        "--fleet-rule=each", "--preset=quick", "--final-preset=quick", "--algorithm=random",
    )  # fmt: skip
    assert done.code == 0, done.err
    for device in shown(pocketnas)["fleet"]["devices"]:
        index = device["best"]["index"]
        assert (tmp_path / "run" / "best" / f"weights-{index}.safetensors").is_file()
        done = pocketnas("export", f"run:best@{device['name']}", "-o", "out", "--json")
        assert json.loads(done.out)["weights"].startswith("trained")


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--fleet=nothing"], ["--fleet takes [NAME=]SOURCE@TARGET_MS[*WEIGHT]", "'nothing'"]),
        (["--fleet=@75"], ["--fleet takes", "'@75'"]),
        (["--fleet=table:pixel1@fast"], ["'fast'", "is no number"]),
        (["--fleet=table:pixel1@75*much"], ["'much'", "is no number"]),
        (["--fleet=table:pixel1@-3"], ["'target_ms' of device 1 of the fleet", "-3"]),
        (["--fleet=table:pixel1@0"], ["'target_ms' of device 1 of the fleet", "0"]),
        (["--fleet=table:pixel1@nan"], ["'target_ms' of device 1 of the fleet", "nan"]),
        (
            ["--fleet=table:pixel1@75*0", "--fleet-rule=each"],
            ["'weight' of device 1 of the fleet", "0"],
        ),
        (["--fleet=table:pixel1@75*2"], ["weight 2.0 of table:pixel1", "without effect"]),
        (["--fleet=table:pixel1@75", "--fleet=a=table:pixel1@9"], ["2 devices", "table:pixel1"]),
        (["--fleet=a=table:pixel1@75", "--fleet=a=host@9"], ["2 devices", "called 'a'"]),
        (["--fleet=host@75", "--fleet=hybrid:pixel1,host@9"], ["2 devices", "'host'"]),
        (["--fleet=table:pixel1@75", "--fleet=table:nowhere@9"], ["no table 'nowhere'"]),
        (["--fleet=table:pixel1@75", "--fleet=phone@9"], ["unknown source 'phone'"]),
        (["--fleet=table:pixel1@75", "--fleet=adb:NOSUCHPHONE@9"], ["NOSUCHPHONE"]),
        (["--fleet=table:pixel1@75", "--target-ms=9"], ["'target_ms' is for one device", "9"]),
        (["--fleet=table:pixel1@75", "--latency=host"], ["'latency' is for one device", "host"]),
        (["--fleet=table:pixel1@75", "--final-on=host"], ["'final_on' is for one device", "host"]),
        (["--fleet=table:pixel1@75", "--fleet-rule=best"], ["'fleet_rule'", "'worst'", "'best'"]),
        (["--target-ms=75", "--fleet-rule=each"], ["there is no fleet"]),
        (["--fleet=table:pixel1@3"], ["meets 3 ms on table:pixel1", "raise the target of table:"]),
        (["--fleet=table:pixel1@75", "--fleet=table:mine.yaml@9"], ["target of table:mine.yaml"]),
    ],
)
def test_a_fleet_that_cannot_be_is_refused_in_one_sentence(pocketnas, tmp_path, flags, words):
    done = pocketnas("search", "--space=proxyless", "--dataset=analytic-standin", "--run=run",
                     "--trials=3", *flags)  # fmt: skip
    refused(done, *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fleet = []", ["the fleet has no devices"]),
        ("[[fleet]]\ntarget_ms = 9", ["device 1 of the fleet has no source", "adb:SERIAL"]),
        ('[[fleet]]\nlatency = " "\ntarget_ms = 9', ["device 1 of the fleet", "has no source"]),
        ('[[fleet]]\nname = "old"\ntarget_ms = 9', ["fleet (old) has no source"]),
        ('[[fleet]]\nlatency = "host"', ["device 1 of the fleet (host) has no target"]),
        (
            '[[fleet]]\nlatency = "host"\ntarget_ms = 9\ntarget = 3',
            ["unknown setting 'target' of"],
        ),
        ('fleet = "host"', ["'fleet'"]),
        ('fleet = ["host"]', ["device 1 of the fleet"]),
        ('target_ms = 9\n[[fleet]]\nlatency = "host"\ntarget_ms = 9', ["for one device"]),
    ],
)
def test_a_configuration_without_all_of_a_device_is_refused(tmp_path, text, words):
    path = tmp_path / "search.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        SearchConfig.load(path, {})
    for word in (*words, str(path)):
        assert word in str(caught.value)


def test_a_configuration_with_a_fleet_survives_its_own_toml(tmp_path):
    entries = [
        {"latency": "adb:1A@lab:5038", "target_ms": 20, "weight": 2, "final_on": "adb:any"},
        {"name": 'my "table"', "latency": "table:a=b.yaml", "target_ms": 7.5},
    ]
    made = SearchConfig.load(
        None, {"fleet": entries, "fleet_rule": "each", "space_options": {"size": "32"}}
    )
    assert [entry.name for entry in made.fleet] == ["adb:1A@lab:5038", 'my "table"']
    assert (made.latency, made.target_ms, made.target) == ("", None, 1.0)
    assert made.sources == ("adb:1A@lab:5038", "table:a=b.yaml")
    path = tmp_path / "config.toml"
    path.write_text(made.to_toml())
    assert SearchConfig.load(path, {}) == made


@pytest.mark.usefixtures("mine")
def test_what_times_a_devices_front_at_the_end_may_be_another_source(pocketnas, tmp_path):
    (tmp_path / "search.toml").write_text(
        'space = "proxyless"\ndataset = "analytic-standin"\ntrials = 4\n'
        '[[fleet]]\nlatency = "table:pixel1"\ntarget_ms = 75\nfinal_on = "table:nowhere"\n'
    )
    refused(pocketnas("search", "search.toml", "--run=run"), "no table 'nowhere'")
    assert not (tmp_path / "run").exists()
