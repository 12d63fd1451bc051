"""The repository's own shape, held by tests."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import controller
import delivery
import devices
import exporters
import latency
import pocketnas
import search_space
import training
import workspace

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    controller,
    delivery,
    devices,
    exporters,
    latency,
    pocketnas,
    search_space,
    training,
    workspace,
)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_top_level_names_are_ours(package):
    assert Path(*package.__path__) == ROOT / package.__name__


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_package_has_tests_types_and_a_readme(package):
    assert list((ROOT / "tests" / package.__name__).glob("test_*.py"))
    assert (ROOT / package.__name__ / "py.typed").exists()
    assert (ROOT / package.__name__ / "README.md").read_text().startswith("# ")


def test_tests_are_not_packages():
    # tests/ mirrors the package names; an __init__.py there would shadow the real package.
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_the_wheel_and_the_layers_name_every_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    names = sorted(package.__name__ for package in PACKAGES)
    assert sorted(project["hatch"]["build"]["targets"]["wheel"]["packages"]) == names
    (layers,) = project["importlinter"]["contracts"]
    assert sorted(re.findall(r"\w+", " ".join(layers["layers"]))) == names


def test_package_docstrings_are_one_sentence():
    for package in PACKAGES:
        assert package.__doc__
        assert "\n" not in package.__doc__.strip()


def test_make_help_lists_the_targets_of_the_readme():
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for target in ("quickstart", "test", "check", "bench", "clean"):
        assert f"make {target}" in shown
