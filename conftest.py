"""``pytest --core``: the tests of the core alone, where torch, optuna and their like are missing.

Three rules decide what is left out, in the order of their bluntness:

1. A file that imports an extra is not collected: a module of ours by what it and the modules it
   imports need at import, a test file by any import of its own, inside functions too. Under
   ``if TYPE_CHECKING`` nothing counts. In the packages of ``CORE`` only a file's own imports
   count, so that a core module that comes to need torch is an error here, not a silence. Tests
   of the packages in ``TORCH`` are not collected at all.
2. A test that needs an extra in a file that does not says ``pytest.importorskip("torch")``.
3. A test whose program imports an extra late, or in another process, is in ``LATE``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
EXTRAS = frozenset(
    {
        "PIL",
        "ai_edge_quantizer",
        "av",
        "litert_torch",
        "onnx",
        "onnxruntime",
        "onnxscript",
        "optuna",
        "plotly",
        "pycocotools",
        "safetensors",
        "sklearn",
        "tensorboard",
        "tensorflow",
        "timm",
        "torch",
        "torchvision",
    }
)
"""What only extras install; flatbuffers comes with ai-edge-litert, so the core has it."""
CORE = ("devices", "latency", "pocketnas", "workspace")
TORCH = ("delivery",)
"""Packages about networks that are there as torch modules: all of their tests need it."""
LATE: tuple[str, ...] = (
    "tests/benchmarks/test_search_analytic.py::test_prints_the_keys_of_every_algorithm_last_on_st",
    *(
        f"{test}[{algorithm}]"
        for test in (
            "tests/benchmarks/test_search_analytic.py::test_the_others_do_too",
            "tests/controller/test_algorithm.py::test_every_name_makes_an_algorithm_that_searches",
            "tests/controller/test_algorithm.py::test_what_is_known_before_is_proposed_first",
            "tests/controller/test_phased.py::test_each_phase_changes_its_own_decisions_and_keeps_"
            "what_was_found",
        )
        for algorithm in ("ppo", "tpe")
    ),
    "tests/benchmarks/test_search_quality.py::test_regret_is_what_is_left_to_the_best_of_the_file",
    "tests/benchmarks/test_search_quality.py::test_pymoo_evaluates_as_many_points_as_it_may",
    "tests/controller/test_algorithm.py::test_algorithms_of_fixed_length_refuse_other_spaces",
    "tests/controller/test_constraints.py::test_an_algorithm_that_cannot_says_which_can",
    "tests/pocketnas/test_bad_input.py::test_a_head_that_a_family_has_not_is_refused",
    "tests/pocketnas/test_commands.py::test_an_exported_file_can_be_measured_and_its_numbers_have",
    "tests/pocketnas/test_commands.py::test_a_table_answers_for_a_network_and_refuses_a_file",
    "tests/pocketnas/test_search.py::test_a_search_in_int8_times_int8_files_and_says_that_their_",
    "tests/pocketnas/test_search.py::test_a_space_and_a_task_from_another_folder_run_a_search_with",
    "tests/pocketnas/test_proxy.py::test_a_check_says_what_each_proxy_costs_and_keeps_its_tra",
    "tests/training/test_local_executor.py::",
)
"""How the node ids of such tests begin."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--core``."""
    parser.addoption(
        "--core",
        action="store_true",
        help="the core is installed alone: leave out what needs torch, optuna and their like",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out, under ``--core``, the files that need an extra (rule 1)."""
    if not config.getoption("--core") or collection_path.suffix != ".py":
        return None
    return True if needs_an_extra(collection_path) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip, under ``--core``, the tests that need an extra late (rule 3)."""
    if config.getoption("--core"):
        skip = pytest.mark.skip(reason="what it runs needs an extra: torch or optuna")
        for item in items:
            if item.nodeid.startswith(LATE):
                item.add_marker(skip)


def needs_an_extra(path: Path) -> bool:
    """Whether the file, or what it imports, imports an extra (rule 1)."""
    is_test = path.name.startswith("test_") or path.name == "conftest.py"
    home = path.relative_to(ROOT).parts[0] if path.is_relative_to(ROOT) else ""
    subject = path.relative_to(ROOT).parts[1] if home == "tests" else home
    names = _imports(path, inside_functions=is_test)
    if home == "tests" and subject in TORCH:
        return True
    if not EXTRAS.isdisjoint(name.partition(".")[0] for name in names):
        return True
    return subject not in CORE and any(reaches_an_extra(name) for name in names)


def reaches_an_extra(module: str) -> bool:
    """Whether importing one of our modules imports an extra."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name.partition(".")[0] in EXTRAS:
            return True
        path = _file_of(name)
        if path and name not in seen:
            seen.add(name)
            waiting += _imports(path, inside_functions=False)
    return False


def _file_of(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


@cache
def _imports(path: Path, *, inside_functions: bool) -> frozenset[str]:
    """Names of the modules that a file imports, and of what may be modules in them."""
    found: set[str] = set()
    for node in _statements(ast.parse(path.read_bytes()), inside_functions=inside_functions):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def _statements(node: ast.AST, *, inside_functions: bool) -> Iterator[ast.AST]:
    """What runs at import; with ``inside_functions``, what can run at all."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not inside_functions:
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from _statements(child, inside_functions=inside_functions)
