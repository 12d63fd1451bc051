from collections import Counter

import pytest

from benchmarks.comparison.stage_arms import DRAWN, Arm, stages_of
from training.stages import Regularization, TrainingStage, check_covered

STAGES = (
    TrainingStage(until=0.5, size=16, regularization=Regularization(mixup=0.1)),
    TrainingStage(until=0.75, size=20, regularization=Regularization(mixup=0.2)),
    TrainingStage(until=1.0, size=28, regularization=Regularization(mixup=0.3)),
)


def test_the_baseline_has_no_stages_and_progressive_learning_those_given():
    assert stages_of(Arm.BASELINE, STAGES, 0) == ()
    assert stages_of(Arm.PROGRESSIVE, STAGES, 0) == STAGES


def test_of_size_and_regularization_one_grows_and_the_other_is_the_last():
    growing = stages_of(Arm.GROWING_SIZE, STAGES, 0)
    assert [stage.size for stage in growing] == [16, 20, 28]
    assert {stage.regularization.mixup for stage in growing} == {0.3}
    constant = stages_of(Arm.GROWING_REGULARIZATION, STAGES, 0)
    assert {stage.size for stage in constant} == {28}
    assert [stage.regularization.mixup for stage in constant] == [0.1, 0.2, 0.3]


def test_random_sizes_are_as_many_of_each_in_an_order_of_each_seed():
    drawn = [stages_of(Arm.RANDOM_SIZES, STAGES, seed) for seed in range(5)]
    for stages in drawn:
        check_covered(stages)
        assert Counter(stage.size for stage in stages) == {16: 6, 20: 3, 28: 3}
        assert {stage.regularization.mixup for stage in stages} == {0.3}
        assert len(stages) == DRAWN
    assert len(set(drawn)) == 5
    assert drawn[0] == stages_of(Arm.RANDOM_SIZES, STAGES, 0)


@pytest.mark.parametrize("arm", [arm for arm in Arm if arm is not Arm.BASELINE])
def test_every_arm_covers_the_training(arm):
    check_covered(stages_of(arm, STAGES, 1))
