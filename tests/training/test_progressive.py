from dataclasses import replace

import pytest

from search_space.catalog import create
from training.progressive import (
    PUBLISHED,
    Growth,
    Rule,
    check_sizes,
    grown,
    growth_of,
    stages_for,
)
from training.stages import Regularization, TrainingStage
from workspace.errors import InputError

NETWORK = create("mnasnet-a1")
SMALL = "version = 1\n[growth]\nrule = 'paper'\nstart = {size = 16}\nend = {size = 224}\n"


def published(rule, name):
    return grown(rule, PUBLISHED[rule][name])


def column(stages, strength):
    return [getattr(stage.regularization, strength) for stage in stages]


@pytest.mark.parametrize(
    ("name", "sizes", "randaugment", "mixup", "dropout"),
    [
        ("s", [128, 185, 243, 300], [5, 8.333, 11.667, 15], [0] * 4, (0.1, 0.3)),
        ("m", [128, 212, 296, 380], [5, 10, 15, 20], [0, 0.0667, 0.1333, 0.2], (0.1, 0.4)),
        ("l", [128, 212, 296, 380], [5, 11.667, 18.333, 25], [0, 0.1667, 0.3333, 0.5], (0.1, 0.5)),
    ],
)
def test_the_papers_rule_gives_its_table(name, sizes, randaugment, mixup, dropout):
    stages = published(Rule.PAPER, f"efficientnetv2-{name}")
    assert [stage.size for stage in stages] == sizes
    assert column(stages, "randaugment") == pytest.approx(randaugment, abs=5e-4)
    assert column(stages, "mixup") == pytest.approx(mixup, abs=5e-5)
    assert column(stages, "cutmix") == [0] * 4
    least, most = dropout
    third = (most - least) / 3
    expected = [least, least + third, least + 2 * third, most]
    assert column(stages, "dropout") == pytest.approx(expected)
    assert [stage.until for stage in stages] == [0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize(
    ("name", "sizes", "randaugment", "mix", "dropout"),
    [
        ("s", [171, 214, 257, 300], [5, 6.667, 8.333, 10], [0] * 4, 0.2),
        ("m", [192, 256, 320, 384], [5, 8.333, 11.667, 15], [0, 0.0667, 0.1333, 0.2], 0.3),
        ("l", [192, 256, 320, 384], [5, 10, 15, 20], [0, 0.1667, 0.3333, 0.5], 0.4),
        ("xl", [192, 256, 320, 384], [5, 10, 15, 20], [0, 0.1667, 0.3333, 0.5], 0.4),
        ("b0", [144, 160, 176, 192], [0] * 4, [0] * 4, 0.2),
        ("b1", [144, 160, 176, 192], [0] * 4, [0] * 4, 0.2),
        ("b2", [148, 168, 188, 208], [0] * 4, [0] * 4, 0.3),
        ("b3", [156, 184, 212, 240], [0] * 4, [0] * 4, 0.3),
    ],
)
def test_the_codes_rule_gives_its_table(name, sizes, randaugment, mix, dropout):
    stages = published(Rule.CODE, f"efficientnetv2-{name}")
    assert [stage.size for stage in stages] == sizes
    assert column(stages, "randaugment") == pytest.approx(randaugment, abs=5e-4)
    for strength in ("mixup", "cutmix"):
        assert column(stages, strength) == pytest.approx(mix, abs=5e-5)
    assert column(stages, "dropout") == [dropout] * 4
    assert [stage.until for stage in stages] == [0.25, 0.5, 0.75, 1]


def test_one_stage_is_the_end():
    growth = replace(PUBLISHED[Rule.PAPER]["efficientnetv2-m"], stages=1)
    for rule in Rule:
        (stage,) = grown(rule, growth)
        assert (stage.until, stage.size, stage.regularization) == (1, 380, growth.strongest)


def test_a_published_network_has_its_numbers():
    for rule, growths in PUBLISHED.items():
        for name, growth in growths.items():
            assert growth_of(rule, create(name), name=name) == growth
            assert growth_of(rule, NETWORK, name=name, size=growth.end) == growth


@pytest.mark.parametrize(
    ("rule", "size", "ends"),
    [
        (Rule.CODE, 192, (64, 150)),  # half of 384, and so of 128 and 300
        (Rule.PAPER, 192, (64, 150)),
        (Rule.CODE, 64, (32, 50)),
        (Rule.CODE, 32, (32, 32)),
        (Rule.PAPER, 480, (160, 375)),
    ],
)
def test_evaluated_at_another_size_a_published_network_grows_in_proportion(rule, size, ends):
    network = create("efficientnetv2-s").at(size)
    growth = growth_of(rule, network, name="efficientnetv2-s")
    assert (growth.start, growth.end) == ends
    assert growth.strongest == PUBLISHED[rule]["efficientnetv2-s"].strongest


def test_ending_at_another_size_a_published_network_grows_in_proportion():
    smaller = growth_of(Rule.PAPER, NETWORK, name="efficientnetv2-m", size=190)
    assert (smaller.start, smaller.end) == (64, 190)
    assert smaller.strongest == Regularization(dropout=0.4, randaugment=20, mixup=0.2)


@pytest.mark.parametrize(
    ("asked", "sizes"), [("paper", [96, 139, 181, 224]), ("code", [140, 168, 196, 224])]
)
def test_any_network_grows_to_its_own_size(asked, sizes):
    stages = stages_for(asked, NETWORK)
    assert [stage.size for stage in stages] == sizes
    assert column(stages, "dropout") == pytest.approx(
        [0.1, 1 / 6, 0.7 / 3, 0.3] if asked == "paper" else [None] * 4
    )


def test_small_images_grow_from_about_half_to_full():
    small = create("mnasnet-a1")
    stages = [replace(stage, stride=1) for stage in small.stages]
    small = replace(small, stages=tuple(stages), size=28)
    assert [stage.size for stage in stages_for("paper", small)] == [12, 17, 23, 28]
    assert [stage.size for stage in stages_for("code", small)] == [17, 21, 24, 28]
    assert [stage.size for stage in stages_for("code", small, size=32)] == [20, 24, 28, 32]


def test_no_size_in_proportion_is_smaller_than_a_network_can_run_at():
    assert [stage.size for stage in stages_for("paper", NETWORK.at(38))] == [32, 34, 36, 38]
    assert [stage.size for stage in stages_for("paper", NETWORK.at(32))] == [32] * 4


def test_a_stage_smaller_than_the_strides_is_refused_with_what_is_needed(tmp_path):
    path = tmp_path / "stages.toml"
    path.write_text(SMALL)
    with pytest.raises(InputError, match=r"stage 1 of 4 trains at 16 pixels: .* at least 32 pix"):
        stages_for(str(path), NETWORK)
    stages = [TrainingStage(until=0.5, size=64), TrainingStage(until=1, size=31)]
    with pytest.raises(InputError, match=r"stage 2 of 2 trains at 31 pixels"):
        check_sizes(stages, NETWORK)


def test_what_is_neither_a_rule_nor_a_file_is_refused():
    with pytest.raises(InputError, match=r"takes paper, code or the path of a TOML file, got 'pa"):
        stages_for("papers", NETWORK)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"start": 0}, "got 0 to 28"),
        ({"start": 29}, "got 29 to 28"),
        ({"start": 14.5}, "got 14.5 to 28"),
        ({"stages": 0}, "at least 1 stage, got 0"),
        ({"weakest": Regularization(dropout=0.1)}, "got 0.1 and None"),
    ],
)
def test_a_growth_that_cannot_be_is_refused(wrong, said):
    with pytest.raises(InputError, match=said):
        Growth(**{"start": 14, "end": 28, **wrong})
