import pytest

from training.stages import Regularization, TrainingStage, check_covered
from workspace.errors import InputError


@pytest.mark.parametrize(
    "wrong",
    [
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"randaugment": 31.0},
        {"mixup": -1.0},
        {"cutmix": float("nan")},
    ],
)
def test_a_strength_out_of_range_is_refused(wrong):
    (value,) = wrong.values()
    with pytest.raises(InputError, match=repr(value).replace(".", r"\.")):
        Regularization(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"until": 0.0}, {"until": 1.5}, {"size": 0}, {"size": 2.5}, {"batch": 0}]
)
def test_a_stage_that_cannot_be_is_refused(wrong):
    with pytest.raises(InputError, match="got"):
        TrainingStage(**{"until": 1.0, "size": 28, **wrong})


def stages(*ends):
    return [TrainingStage(until=end, size=28) for end in ends]


def test_stages_that_follow_each_other_to_the_end_are_taken():
    check_covered(stages(0.25, 0.5, 1.0))


@pytest.mark.parametrize(
    ("ends", "said"), [((), "none"), ((0.5, 0.5, 1.0), "0.5 after 0.5"), ((0.5, 0.9), "got 0.9")]
)
def test_stages_that_do_not_cover_the_training_are_refused(ends, said):
    with pytest.raises(InputError, match=said):
        check_covered(stages(*ends))
