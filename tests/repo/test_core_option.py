"""What ``pytest --core`` leaves out, and what it must not."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def option(request):
    """The root's conftest.py, as pytest has loaded it."""
    return request.config.pluginmanager.get_plugin(str(ROOT / "conftest.py"))


@pytest.mark.parametrize(
    ("content", "left_out"),
    [
        ("import torch", True),
        ("from torch import nn", True),
        ("import timm.models", True),
        ("def test_it():\n    import optuna", True),
        ("from controller.ppo import Ppo", True),
        ("from exporters import trace", True),
        ("def test_it():\n    from controller import optuna_adapter", True),
        ("import numpy\nfrom search_space import catalog", False),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch", False),
        ("import pytest\ndef test_it():\n    torch = pytest.importorskip('torch')", False),
        ("import torchless_name", False),
    ],
)
def test_a_test_file_is_left_out_if_it_imports_an_extra(option, tmp_path, content, left_out):
    file = tmp_path / "test_something.py"
    file.write_text(content)
    assert option.needs_an_extra(file) is left_out


def test_a_module_that_imports_an_extra_late_is_not_left_out(option, tmp_path):
    file = tmp_path / "module.py"
    file.write_text("def build():\n    import torch\n")
    assert not option.needs_an_extra(file)
    file.with_name("other.py").write_text("class Layer:\n    import torch\n")
    assert option.needs_an_extra(file.with_name("other.py"))


def test_nothing_of_the_core_is_left_out(option):
    """Devices, latency, tables, the command line: the tests and the modules alike."""
    kept = [
        path
        for name in option.CORE
        for folder in (ROOT / name, ROOT / "tests" / name)
        for path in folder.rglob("*.py")
    ]
    assert len(kept) > 50
    assert [path for path in kept if option.needs_an_extra(path)] == []


def test_modules_of_the_core_import_no_extra_even_by_way_of_others(option):
    reached = {
        str(path.relative_to(ROOT))
        for name in option.CORE
        for path in (ROOT / name).rglob("*.py")
        if option.reaches_an_extra(".".join(path.relative_to(ROOT).with_suffix("").parts))
    }
    assert reached == set()


def test_every_exception_names_a_test_that_there_is(option):
    for beginning in option.LATE:
        file, _, test = beginning.partition("::")
        name = test.partition("[")[0]
        assert re.search(rf"^def {name}", (ROOT / file).read_text(), re.MULTILINE) or not name
