import pytest

from latency.heads import CLASSIFIER, DETECTOR, kind_of, of_kind, require_kind
from search_space.architecture import Classifier, Detector, VideoClassifier
from workspace.errors import InputError


@pytest.mark.parametrize("head", [Classifier(classes=7), Detector(classes=3)])
def test_a_head_is_that_of_its_kind_and_classes(head):
    assert of_kind(kind_of(head), head.classes) == head


def test_heads_whose_networks_have_no_parts_are_refused():
    with pytest.raises(InputError, match="classifiers or detectors, not of networks with Video"):
        kind_of(VideoClassifier(classes=3))


def test_there_are_two_kinds():
    for kind in (CLASSIFIER, DETECTOR):
        require_kind(kind)
    with pytest.raises(ValueError, match="got 'nose'"):
        of_kind("nose", 3)
