from dataclasses import replace

import pytest

pytest.importorskip("torch")

from benchmarks.comparison.durations import seconds_a_scene, step_ratio
from benchmarks.comparison.networks import Own
from benchmarks.comparison.scene_task import WideAnchors
from search_space.architecture import Detector
from search_space.spinenet_networks import create

SMALL = replace(create("spinenet-mobile-49xs"), size=128, channels=1, filter_scale=0.25)


def built(network):
    return Own(name="it", architecture=network).build(Detector(classes=10), 0)


def test_a_training_step_is_a_part_of_anothers():
    wide = replace(SMALL, filter_scale=1.0)
    task = WideAnchors()
    assert seconds_a_scene(built(wide), task, 128) > 0
    assert step_ratio(built(wide), built(SMALL), task, 128, steps=3) > 1
    assert step_ratio(built(SMALL), built(wide), task, 128, steps=3) < 1
