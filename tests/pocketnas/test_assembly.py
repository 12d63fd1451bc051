import random

import pytest

from controller.network_figures import Figure, figures_of
from exporters.artifact import Precision
from pocketnas.assembly import evaluation_of, space_of, space_options_of
from pocketnas.config import SearchConfig
from search_space.architecture import Detector
from search_space.spinenet_scaling import SpineNetScalingSpace
from workspace.errors import InputError

SCENES = "generated-fashion-scenes"
PERMUTED = ("spinenet", "spinenet_v2", "spinenet_mbconv", "spinenet_scaling")


def config(**settings):
    return SearchConfig(**{"target_ms": 5.0, **settings})


@pytest.mark.parametrize("space", PERMUTED)
def test_detectors_of_generated_scenes_are_small(space):
    pytest.importorskip("torch")
    made = space_of(config(space=space, dataset=SCENES))
    for seed in range(4):
        network = made.decode(made.points.sample(random.Random(seed)))
        found = figures_of(network, Detector(classes=10), Precision.FP32, {Figure.MACS})
        assert network.inputs[0].shape[0] == 1
        assert found[Figure.MACS] < 250e6


def test_what_is_given_counts_more_than_what_the_data_suggest():
    given = {"filter_scale": "0.0625", "head_convs": "1", "size": "160"}
    options = space_options_of(config(space="spinenet", dataset=SCENES, space_options=given))
    assert {name: options[name] for name in given} == given
    assert options["alpha"] == "0.25"


@pytest.mark.parametrize("space", PERMUTED)
def test_the_widths_of_chains_are_not_those_of_scale_permuted_networks(space):
    options = space_options_of(config(space=space, dataset="fashion-mnist", size=80))
    assert set(options) == {"strides", "stem_filters", "channels", "size"}


def test_of_two_sizes_the_smaller_is_the_one_that_suits_the_data():
    space = space_of(config(space="spinenet_scaling", dataset=SCENES))
    assert isinstance(space, SpineNetScalingSpace)
    sizes, *_ = space.points.choices
    assert sizes.options == ("128", "160")


@pytest.mark.parametrize(
    ("space", "dataset", "least"),
    [
        ("mnasnet", "fashion-mnist", 8),
        ("spinenet", SCENES, 128),
        ("spinenet_scaling", SCENES, 128),
        ("assemblenet", "generated-moving-fashion", 32),
    ],
)
def test_networks_are_trained_at_any_size_that_they_can_run_at_and_at_no_other(
    space, dataset, least
):
    asked = config(space=space, dataset=dataset, train_size=least)
    assert evaluation_of(asked, space_of(asked)).train_size == least
    small = config(space=space, dataset=dataset, train_size=least - 1)
    with pytest.raises(InputError, match=rf"cannot be trained at {least - 1} pixels: .*{least}"):
        evaluation_of(small, space_of(small))


def test_a_training_command_is_told_of_settings_or_they_are_refused():
    pytest.importorskip("torch")
    settings = {"dataset": "fashion-mnist", "batch": 8, "learning_rate": 0.5}
    told = "mine {arch} {result} --batch={batch}"
    both = config(**settings, train_command=f"{told} --rate={{learning_rate}}")
    schedule = evaluation_of(both, space_of(both)).schedule
    assert (schedule.batch, schedule.learning_rate) == (8, 0.5)
    lacking = config(**settings, train_command=told)
    said = r"^learning_rate would be without effect, since .* has no \{learning_rate\}: leave"
    with pytest.raises(InputError, match=said):
        evaluation_of(lacking, space_of(lacking))
