import pytest

from training.metric_name import MetricName, metric_of
from training.task import TaskName

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
    assert metric_of(name) is (MetricName.AP if detects else MetricName.ACCURACY)


def test_data_that_is_not_there_has_a_figure_all_the_same():
    assert metric_of("coco:/nowhere") is MetricName.AP
    assert metric_of("folder:/nowhere") is MetricName.ACCURACY
    assert metric_of("analytic-standin") is MetricName.ACCURACY
    assert metric_of("lost_module:TASK") is MetricName.ACCURACY


def test_a_task_of_the_users_own_is_asked(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    (tmp_path / "own_boxes.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert metric_of("own_boxes:Boxes") is MetricName.AP
    assert metric_of("training.digits:Digits") is MetricName.ACCURACY
