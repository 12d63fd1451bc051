import pytest

from training.detection import ObjectDetection
from training.digits import Digits
from training.possible import anchored, jittered, require_fitting, without_impossible
from training.schedule import Schedule
from training.stages import Regularization, TrainingStage
from training.task import Proxy, Split
from training.video import VideoClassification
from workspace.errors import InputError

pytest.importorskip("torch")
pytest.importorskip("sklearn")


def test_images_without_boxes_are_not_scaled():
    examples = Digits().examples(Split.TRAIN, 16)
    with pytest.raises(
        InputError, match=r"scale jitter is for images with boxes, and .* 'digits'"
    ):
        jittered(examples, (0.5, 2.0), "digits")


def test_anchors_are_for_boxes_alone():
    assert anchored(Digits(), 0.0).name == "digits"
    with pytest.raises(InputError, match=r"anchors are .* 'digits' has no boxes"):
        anchored(Digits(), 4.0)
    with pytest.raises(InputError, match=r"anchors are .* 'digits' has no boxes"):
        require_fitting(Digits(), Schedule(samples=1, anchor=4.0), progressive())


def progressive(**strength):
    return (TrainingStage(until=1, size=64, regularization=Regularization(**strength)),)


class WithoutData:
    proxy = Proxy(size=64, schedule=Schedule(samples=1))

    def examples(self, split, size):
        raise NotImplementedError


class Boxes(WithoutData, ObjectDetection):
    name = "boxes"


class Clips(WithoutData, VideoClassification):
    name = "clips"


class ClipsWithFlow(Clips):
    has_flow = True


SCHEDULE = Schedule(samples=1)
WHOLE = {"dropout": 0.2, "randaugment": 10, "mixup": 0.2, "cutmix": 0.5}


def test_boxes_take_all_but_cutmix_and_dropout_which_they_have_no_meaning_for():
    require_fitting(Boxes(), SCHEDULE, progressive(randaugment=10, mixup=0.2))
    with pytest.raises(InputError, match=r"CutMix is not for .* 'boxes', since .* has no box"):
        require_fitting(Boxes(), SCHEDULE, progressive(cutmix=0.5))
    (stage,), notes = without_impossible(progressive(**WHOLE), Boxes())
    assert stage.regularization == Regularization(randaugment=10, mixup=0.2)
    assert [note.split(",")[0] for note in notes] == ["without dropout", "without CutMix"]
    require_fitting(Boxes(), SCHEDULE, (stage,))


def test_clips_take_all_and_with_optical_flow_dropout_alone():
    require_fitting(Clips(), SCHEDULE, progressive(**WHOLE))
    assert without_impossible(progressive(**WHOLE), Clips()) == (progressive(**WHOLE), ())
    with pytest.raises(InputError, match=r"RandAugment is not for .* optical flow"):
        require_fitting(ClipsWithFlow(), SCHEDULE, progressive(randaugment=1))
    stages, notes = without_impossible(progressive(**WHOLE), ClipsWithFlow())
    assert stages == progressive(dropout=0.2)
    assert len(notes) == 3


def test_nothing_is_said_of_what_was_not_asked_for():
    stages = progressive(randaugment=5)
    assert without_impossible(stages, Boxes()) == (stages, ())
