import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from search_space.efficientnet_space import EfficientNetSpace
from search_space.efficientnet_v2_space import EfficientNetV2Space
from search_space.guidance import GuidedPointSpace
from search_space.mnasnet import MnasNetSpace
from search_space.proxyless import ProxylessSpace
from search_space.space import WITH_GATES, WITH_WEIGHTS, SpaceName, create
from search_space.testing import SearchSpaceContract
from workspace.errors import InputError

CODE = """
from search_space.chain import ChainArchitecture, Op, Stage, Stem
from search_space.decisions import Choice, DecisionSpace
from workspace.errors import InputError


class Widths:
    name = "widths"
    points = DecisionSpace(choices=(
        Choice(name="filters", options=("8", "16", "24")),
        Choice(name="kernel", options=("3", "5")),
    ))
    count = points.count

    def __init__(self, size=16):
        self.size = size

    def decode(self, point):
        filters, kernel = self.points.checked(point)
        stage = Stage(op=Op.MBCONV, kernel=3 + 2 * kernel, stride=2, expansion=2,
                      filters=8 * (1 + filters), repeats=2)
        return ChainArchitecture(size=self.size, stem=Stem(filters=8), stages=(stage,),
                                 head_filters=32)

    def encode(self, architecture):
        for point in ((f, k) for f in range(3) for k in range(2)):
            if self.decode(point).key == architecture.key:
                return point
        raise InputError(f"not in the space 'widths': {architecture.key}")


SPACE = Widths()
NUMBER = 3


def make(options):
    return Widths(size=int(options["size"]))


def broken(options):
    raise RuntimeError("no such dataset")


class Half:
    points = Widths.points
    decode = Widths.decode


HALF = Half()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder outside the project with a space in it, as the current one."""
    (tmp_path / "users_own_space.py").write_text(textwrap.dedent(CODE))
    (tmp_path / "users_broken_module.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for module in ("users_own_space", "users_broken_module"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    yield tmp_path
    for module in ("users_own_space", "users_broken_module"):
        sys.modules.pop(module, None)


class TestASpaceOfTheUsersOwn(SearchSpaceContract):
    @pytest.fixture
    def space(self, folder):
        assert folder.is_dir()
        return create("users_own_space:SPACE", {})


def test_spaces_have_names_and_options():
    assert create("mnasnet", {"size": "64"}) == MnasNetSpace(size=64)
    assert create("proxyless", {}) == ProxylessSpace()
    assert create("efficientnet", {"size": "64"}) == EfficientNetSpace(size=64)
    assert create("efficientnetv2", {"width": "0.5"}) == EfficientNetV2Space(width=0.5)
    assert [create(name, {}).name for name in SpaceName] == list(SpaceName)


@pytest.mark.parametrize("name", list(SpaceName))
def test_spaces_whose_connections_carry_weights_are_known(name):
    assert isinstance(create(name, {}).points, GuidedPointSpace) == (name in WITH_WEIGHTS)
    if name in WITH_GATES:
        assert isinstance(create(name, {"gates": "yes"}).points, GuidedPointSpace)
        return
    with pytest.raises(InputError, match="gates"):
        create(name, {"gates": "yes"})


def test_an_unknown_space_lists_the_known_ones():
    with pytest.raises(
        InputError,
        match=r"'darts'; there are mnasnet, .*, assemblenet_mobile, and package",
    ):
        create("darts", {})


@pytest.mark.parametrize("name", SpaceName)
def test_an_unknown_option_lists_the_known_ones(name):
    with pytest.raises(InputError, match=f"space '{name}' has no option 'depth'; it has .*size"):
        create(name, {"depth": "3"})


@pytest.mark.usefixtures("folder")
def test_a_users_callable_gets_the_options():
    assert create("users_own_space:make", {"size": "24"}).decode((0, 0)).inputs[0].shape == (
        3,
        24,
        24,
    )


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("users_own_space:NOTHING", "module 'users_own_space' .* has no name 'NOTHING'"),
        ("users_own_space:NUMBER", "is no search space: it lacks points, decode, encode"),
        ("users_own_space:HALF", "is no search space: it lacks encode"),
        ("users_own_space:broken", "gave no search space: RuntimeError: no such dataset"),
        ("users_broken_module:SPACE", "a_module_that_is_not_there"),
        ("users_missing_module:SPACE", "users_missing_module"),
    ],
)
def test_a_users_space_that_cannot_be_had_says_why(name, said):
    with pytest.raises(InputError, match=said):
        create(name, {})


def test_spaces_and_catalog_work_without_torch():
    """They are what a lab laptop has, and ``--help`` waits for their import."""
    code = """
import sys
sys.modules["torch"] = None
import random
from search_space import catalog, layers, proxyless, space
for name in space.SpaceName:
    made = space.create(name, {})
    network = made.decode(made.points.sample(random.Random(0)))
    assert network.key
    assert network.family != "chain" or layers.layers(network)
    assert made.decode(made.encode(network)).key == network.key
assert catalog.create("mnasnet-a1").to_json()
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
