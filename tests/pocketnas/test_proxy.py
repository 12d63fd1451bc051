import json

import pytest

CHECK = ("proxy", "check", "--dataset=digits", "--networks=4", "--seeds=1")


@pytest.mark.slow
def test_a_check_says_what_each_proxy_costs_and_keeps_its_trainings(pocketnas, tmp_path):
    done = pocketnas(
        *CHECK,
        "--samples=320",
        "--proxy=samples=160",
        "--proxy=samples=160,width=0.5",
        "--least=0",
        "--json",
    )
    assert done.code == 0, done
    facts = json.loads(done.out)
    assert facts["networks"] == 4
    narrow, half = facts["proxies"]
    assert half["task"] == "samples=160"
    assert half["cost"] == 0.5
    assert narrow["cost"] < 0.5
    assert facts["cheapest"] in ("samples=160", "samples=160,width=0.5")
    lines = (tmp_path / "proxy-check.jsonl").read_text().splitlines()
    assert len(lines) == 12
    again = pocketnas(
        *CHECK,
        "--samples=320",
        "--proxy=samples=160",
        "--proxy=samples=160,width=0.5",
        "--least=0",
    )
    assert again.code == 0
    assert "cheapest that keeps the order" in again.out
    assert len((tmp_path / "proxy-check.jsonl").read_text().splitlines()) == 12


SMALL = (
    "size=16", "frames=4", "channels=1", "strides=small", "width=0.25", "repeats=1,1,1,1",
    "stems=rgb", "nodes=1", "dilations=1,2",
)  # fmt: skip


@pytest.mark.slow
def test_proxies_of_networks_of_clips_are_checked_too(pocketnas, moving_bars):
    done = pocketnas(
        "proxy",
        "check",
        f"--dataset={moving_bars}",
        "--space=assemblenet_mobile",
        *(f"--space-option={option}" for option in SMALL),
        "--networks=4",
        "--seeds=1",
        "--samples=64",
        "--proxy=samples=32",
        "--proxy=samples=32,width=0.5",
        "--least=0",
        "--json",
    )
    assert done.code in (0, 1), done.err  # ranks of four networks can be the other way round
    narrow, half = json.loads(done.out)["proxies"]
    assert (half["task"], half["cost"]) == ("samples=32", 0.5)
    assert 0.1 < narrow["cost"] < 0.5


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--proxy=samples=0"], ("a proxy is samples=NUMBER", "'samples=0'")),
        (["--proxy=samples=99999999"], ("costs no less than the full training",)),
        (["--proxy=samples=10", "--dataset=analytic-standin"], ("trains nothing",)),
        (["--proxy=samples=10", "--out=."], ("cannot be read",)),
        (["--proxy=samples=10,size=1"], ("input size",)),
        (["--proxy=samples=10", "--space=mnasnett"], ("'mnasnett'",)),
    ],
)
def test_a_wrong_proxy_is_refused_before_anything_is_trained(pocketnas, tmp_path, flags, words):
    done = pocketnas(*CHECK, *flags)
    assert done.code == 2, done
    assert len(done.err.strip().splitlines()) == 1, done.err
    for word in words:
        assert word in done.err
    assert not (tmp_path / "proxy-check.jsonl").exists()
