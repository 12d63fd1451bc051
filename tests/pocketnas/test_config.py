import math

import pytest

from pocketnas.config import SearchConfig, options_from
from workspace.errors import InputError


def test_a_configuration_survives_its_own_toml(tmp_path):
    made = SearchConfig.load(
        None,
        {
            "target_ms": 7.5,
            "space_options": {"size": "32", "base": 'quo"te'},
            "train_command": "python 'my train.py' --arch {arch} --out {result}",
            "skip_above": 1.5,
        },
    )
    path = tmp_path / "config.toml"
    path.write_text(made.to_toml())
    assert SearchConfig.load(path, {}) == made


def test_the_command_line_wins_over_the_file_and_adds_to_its_tables(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(
        'target_ms = 80\ntrials = 7\n[space_options]\nsize = "28"\nbase = "mnasnet_a1"\n'
    )
    made = SearchConfig.load(path, {"trials": 9, "seed": None, "space_options": {"size": "32"}})
    assert (made.target_ms, made.trials, made.seed) == (80.0, 9, 0)
    assert made.space_options == {"size": "32", "base": "mnasnet_a1"}


@pytest.mark.parametrize("target", [0, -1, math.nan, math.inf])
def test_an_impossible_target_is_named_with_its_value(target):
    with pytest.raises(InputError, match=f"'target_ms'.*got {target}"):
        SearchConfig.load(None, {"target_ms": target})


def test_a_missing_target_says_how_to_give_it():
    with pytest.raises(InputError, match="give --target-ms"):
        SearchConfig.load(None, {})


def test_an_unknown_setting_lists_the_known_ones(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("target_ms = 80\ntrails = 7\n")
    with pytest.raises(InputError, match=r"unknown setting 'trails'.*trials"):
        SearchConfig.load(path, {})


@pytest.mark.parametrize(
    ("content", "complaint"), [("target_ms = = 3", "no TOML"), ("\udcff", "cannot be read")]
)
def test_a_broken_file_is_named(tmp_path, content, complaint):
    path = tmp_path / "config.toml"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=complaint):
        SearchConfig.load(path, {})


def test_an_option_needs_a_name_and_a_value():
    with pytest.raises(InputError, match="--space-option takes NAME=VALUE, got 'size'"):
        options_from(["size"], "--space-option")
