from pathlib import Path

import pytest

from training.clip_settings import ClipSettings
from training.metric_name import metric_of
from training.task import create, full_name
from workspace.errors import InputError


def test_what_is_left_out_is_as_usual():
    assert ClipSettings.parse("a/clips") == (Path("a/clips"), ClipSettings())
    assert ClipSettings.parse("a/clips,stride=4") == (Path("a/clips"), ClipSettings(stride=4))
    found = ClipSettings.parse("a/list.csv,views=10,stride=1")
    assert found == (Path("a/list.csv"), ClipSettings(stride=1, views=10))


def test_a_data_set_has_one_name_for_the_same_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for form in ("videos:", "video-list:"):
        assert full_name(f"{form}a,views=10,stride=4") == f"{form}{tmp_path}/a,stride=4,views=10"
        assert full_name(f"{form}a,views=3,stride=2") == f"{form}{tmp_path}/a"


def test_a_path_may_look_like_settings(tmp_path):
    (tmp_path / "clips,stride=4").mkdir()
    assert full_name(f"videos:{tmp_path}/clips,stride=4") == f"videos:{tmp_path}/clips,stride=4"
    assert ClipSettings.parse("a,b/clips") == (Path("a,b/clips"), ClipSettings())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clips,strid=4", "have no setting 'strid'; there are stride, views"),
        ("clips,stride=0", "stride of clips must be a whole number from 1 to 1000, got '0'"),
        ("clips,stride=2,views=many", "views of clips must be .* from 1 to 100, got 'many'"),
    ],
)
def test_settings_that_are_none_are_refused(text, said):
    with pytest.raises(InputError, match=said):
        ClipSettings.parse(text)
    with pytest.raises(InputError, match=said):
        create(f"videos:{text}")


def test_the_metric_of_a_list_is_known_whatever_its_settings(tmp_path):
    (tmp_path / "list.csv").write_text("path,labels\na.mp4,run\n")
    assert metric_of(f"video-list:{tmp_path}/list.csv,views=10") == "mAP"
