"""What ``pocketnas doctor`` tells of the packages."""

import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from pocketnas import doctor
from pocketnas.doctor import Health, examine

FORMATS = ("train", "video", "export", "onnx", "quantize", "litert", "tensorflow")


@pytest.fixture(autouse=True)
def no_phones(monkeypatch):
    monkeypatch.setattr(doctor, "_phones", tuple)


@pytest.mark.parametrize("extra", FORMATS)
def test_each_extra_is_told_with_what_it_is_for_and_how_to_get_it(extra, monkeypatch):
    def nothing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", nothing)
    (found,) = (each for each in examine() if each.part == f"extra '{extra}'")
    assert found.health is Health.MISSING
    assert found.remedy == f"pip install 'pocketnas[{extra}]'"
    purpose, _, missing = found.detail.partition("; not installed: ")
    assert purpose.startswith("to ")
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    wanted = project["project"]["optional-dependencies"][extra]
    assert sorted(missing.split(", ")) == sorted(each.partition(">=")[0] for each in wanted)


def test_an_extra_that_is_there_is_told_with_its_versions():
    pytest.importorskip("flatbuffers")
    pytest.importorskip("torch")
    (found,) = (each for each in examine() if each.part == "extra 'export'")
    assert found.health is Health.OK
    assert found.detail.startswith("to write TFLite files; torch 2.")
