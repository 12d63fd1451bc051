import pytest

from training.metric_name import metric_of
from training.task import ACCURACY, AP, MAP, TaskName

OWN = """
from search_space.architecture import Detector
from training.digits import Digits


class Boxes(Digits):
    head = Detector(classes=2)

    def predictions(self, outputs, size):
        raise NotImplementedError

    def figures(self, predictions, targets):
        raise NotImplementedError
"""


@pytest.mark.parametrize("name", TaskName)
def test_the_figure_of_a_task_of_ours_is_what_its_head_gives(name):
    from search_space.architecture import Detector
    from training.task import create

    detects = isinstance(create(name).head, Detector)
    assert metric_of(name) == (AP if detects else ACCURACY)


def test_data_that_is_not_there_has_a_figure_all_the_same():
    assert metric_of("coco:/nowhere") == AP
    assert metric_of("folder:/nowhere") == ACCURACY
    assert metric_of("analytic-standin") == ACCURACY
    assert metric_of("lost_module:TASK") == ACCURACY
    assert metric_of("videos:/nowhere") == ACCURACY
    assert metric_of("video-list:/nowhere") == ACCURACY


def test_a_list_of_videos_is_asked_by_its_first_line_alone(tmp_path):
    for column, name in (("labels", MAP), ("label", ACCURACY)):
        path = tmp_path / f"{column}.csv"
        path.write_text(f"path,{column}\nno/such/video.mp4,run\n")
        assert metric_of(f"video-list:{path}") == name


def test_a_task_of_the_users_own_is_asked(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    (tmp_path / "own_boxes.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert metric_of("own_boxes:Boxes") == AP
    assert metric_of("training.digits:Digits") == ACCURACY
