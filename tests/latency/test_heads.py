import pytest

from latency.heads import kind_of, of_kind
from search_space.architecture import Classifier, Detector, VideoClassifier


@pytest.mark.parametrize(
    "head", [Classifier(classes=7), Detector(classes=3), VideoClassifier(classes=5)]
)
def test_a_head_is_that_of_its_kind_and_classes(head):
    assert of_kind(kind_of(head), head.classes) == head


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(ValueError, match=r"classifier, detector, videoclassifier, got .nose."):
        of_kind("nose", 3)
