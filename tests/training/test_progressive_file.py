import re
from pathlib import Path

import pytest

from training.progressive_file import read_stages
from training.stages import Regularization, TrainingStage
from workspace.errors import InputError

README = Path(__file__).parents[2] / "training" / "README.md"

ONE_BY_ONE = """
version = 1

[[stages]]
until = 0.4
size = 14
batch = 128
randaugment = 5

[[stages]]
until = 1
size = 28
dropout = 0.2
mixup = 0.1
cutmix = 0.2
"""

GROWN = """
version = 1

[growth]
rule = "code"
stages = 2
start = { size = 14, randaugment = 5, dropout = 0.1 }
end = { size = 28, randaugment = 10, mixup = 0.2, dropout = 0.3 }
"""


def read(tmp_path, text):
    path = tmp_path / "stages.toml"
    path.write_text(text)
    return read_stages(path)


def test_stages_are_read_one_by_one(tmp_path):
    assert read(tmp_path, ONE_BY_ONE) == (
        TrainingStage(until=0.4, size=14, batch=128, regularization=Regularization(randaugment=5)),
        TrainingStage(
            until=1.0,
            size=28,
            regularization=Regularization(dropout=0.2, mixup=0.1, cutmix=0.2),
        ),
    )


def test_stages_grow_by_a_rule(tmp_path):
    first, second = read(tmp_path, GROWN)
    assert (first.size, second.size) == (21, 28)
    assert first.regularization == Regularization(dropout=0.3, randaugment=5)
    assert second.regularization == Regularization(dropout=0.3, randaugment=10, mixup=0.2)


def test_the_examples_of_the_readme_are_read(tmp_path):
    examples = re.findall(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        assert read(tmp_path, example)[-1].size == 28


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("version = 1", "", "lacks 'version'"),
        ("version = 1", "version = 2", r"'version' should be 1, got 2"),
        ("size = 28", "", "stage 2 lacks 'size'"),
        ("size = 28", "size = 28.0", r"stage 2: 'size' should be a valid integer, got 28.0"),
        ("size = 28", "size = '28'", r"stage 2: 'size' should be a valid integer, got '28'"),
        ("size = 28", "size = 0", r"stage 2: image size .* got 0"),
        ("batch = 128", "batch = 0", r"stage 1: batch of a stage .* got 0"),
        ("dropout = 0.2", "dropout = true", r"stage 2: 'dropout' should be a valid number, got T"),
        ("dropout = 0.2", "dropout = 1.0", r"stage 2: dropout .* got 1.0"),
        ("dropout = 0.2", "drop = 0.2", r"stage 2 has the unknown key 'drop'; there are dropout,"),
        ("version = 1", "version = 1\nname = 'x'", r"has the unknown key 'name'; there are versi"),
        ("until = 1\n", "until = 0.9\n", r"the last stage must end at 1, .* got 0.9"),
        ("until = 1\n", "until = 0.3\n", r"end later than the one before it, got 0.3 after 0.4"),
        ("until = 1\n", "until = nan\n", r"stage 2: a stage must end at a share .* got nan"),
        ("version = 1", "version = ", r"no TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_what_is_wrong(tmp_path, before, after, said):
    assert before in ONE_BY_ONE
    with pytest.raises(InputError, match=said) as caught:
        read(tmp_path, ONE_BY_ONE.replace(before, after))
    assert "\n" not in str(caught.value)
    assert "stages.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"code"', '"mine"', r"the growth: 'rule' should be 'paper' or 'code', got 'mine'"),
        ("stages = 2", "stages = 0", r"the growth: a training must have at least 1 stage, got 0"),
        ("size = 14,", "", r"start of the growth lacks 'size'"),
        ("size = 14", "size = 30", r"the growth: image sizes must grow .* got 30 to 28"),
        ("mixup = 0.2", "mixup = -1", r"the growth: alpha of mixup .* got -1"),
        (", dropout = 0.1", "", r"the growth: dropout must be given for start and end"),
    ],
)
def test_a_growth_that_cannot_be_is_refused_with_what_is_wrong(tmp_path, before, after, said):
    assert before in GROWN
    with pytest.raises(InputError, match=said):
        read(tmp_path, GROWN.replace(before, after))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = 1", r"either in \[\[stages\]\] or in \[growth\], got neither"),
        (ONE_BY_ONE + GROWN.replace("version = 1", ""), r"got both"),
        ("version = 1\nstages = [3]", r"stage 1: it must be a table, got 3"),
        ("version = 1\nstages = []", r"at least one stage, got none"),
        ("version = 1\nstages = 4", r"'stages' should be a valid list, got 4"),
    ],
)
def test_a_file_without_stages_is_refused(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"the stages '.*none.toml' cannot be read"):
        read_stages(tmp_path / "none.toml")
