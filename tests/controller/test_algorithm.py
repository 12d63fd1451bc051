import random
import subprocess
import sys
import textwrap
from dataclasses import fields, replace
from itertools import product

import pytest

from controller.algorithm import create, settings_named
from controller.earlier import ACCURACY, LATENCY, REWARD, Known, KnownFigure
from controller.settings import (
    Ablation,
    AlgorithmName,
    EvolutionSettings,
    GuidedSettings,
    Nsga2Settings,
    PpoSettings,
    RandomSettings,
    SurrogateSettings,
    TpeSettings,
    UserSettings,
    named,
)
from controller.testing import GUIDED_SPACE, SPACE, evaluated, outcome_of, weights_of
from search_space.guidance import Threshold
from workspace.errors import InputError

YOURS = """
from controller.random_search import RandomSearch

def make(space, seed, options):
    return RandomSearch(space, seed=seed + int(options.get("more", "0")))

def takes_nothing():
    return None

def makes_a_list(space, seed, options):
    return []

NUMBER = 3
"""


@pytest.fixture
def yours(tmp_path, monkeypatch):
    (tmp_path / "my_algorithms.py").write_text(YOURS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("my_algorithms", None)


class Endless:
    """A space whose points have no fixed length."""

    def sample(self, rng):
        return tuple(rng.randrange(3) for _ in range(rng.randrange(1, 5)))

    def mutate(self, point, rng):
        return (*point, rng.randrange(3))

    def crossover(self, first, second, rng):
        return rng.choice((first, second))

    def validate(self, point):
        assert point


OF_ANY_CHOICES = sorted({*AlgorithmName} - {AlgorithmName.GUIDED})
OF_ANY_SPACE = ("random", "evolution", "guided", "nsga2", "surrogate")


@pytest.mark.parametrize("name", OF_ANY_CHOICES)
def test_every_name_makes_an_algorithm_that_searches(name):
    algorithm = create(settings_named(name, {}), SPACE, seed=0)
    for _ in range(3):
        asked = algorithm.ask(4)
        algorithm.tell([outcome_of(proposal) for proposal in asked])
    assert algorithm.ask(1)[0].index == 12


@pytest.mark.parametrize("name", OF_ANY_SPACE)
def test_networks_whose_connections_carry_weights_are_searched_by_all_but_those_of_choices(name):
    algorithm = create(settings_named(name, {}), GUIDED_SPACE, seed=0)
    for step in range(30):
        (one,) = algorithm.ask(1)
        GUIDED_SPACE.validate(one.point)
        told = evaluated(one, accuracy=step % 7 / 10, latency_ms=3.0)
        algorithm.tell([replace(told, feedback=weights_of(one.point))])
    assert algorithm.ask(1)[0].index == 30


def test_guided_evolution_proposes_what_is_known_before_first():
    points = [GUIDED_SPACE.sample(random.Random(seed)) for seed in range(10)]
    known = tuple(Known(point=point, figures=()) for point in points)
    algorithm = create(GuidedSettings(), GUIDED_SPACE, seed=0, earlier=known)
    assert [proposal.point for proposal in algorithm.ask(8)] == points[:8]


KNOWN = tuple(
    Known(
        point=point,
        figures=(
            KnownFigure(name=ACCURACY, value=0.5, fidelity="accuracy in A"),
            KnownFigure(name=LATENCY, value=20.0, fidelity="latency in A"),
            KnownFigure(name=REWARD, value=0.5, fidelity="accuracy in A"),
        ),
    )
    for point in product(range(3), [0], range(4), [1], [2], [3])
)


@pytest.mark.parametrize("name", sorted({*OF_ANY_CHOICES} - {AlgorithmName.RANDOM}))
def test_what_is_known_before_is_proposed_first(name):
    algorithm = create(settings_named(name, {}), SPACE, seed=0, earlier=KNOWN)
    asked = algorithm.ask(5)
    apart = 2 if name == AlgorithmName.SURROGATE else 1  # every other one is of no earlier point
    first = [proposal.point for proposal in asked[::apart]]
    assert first == [known.point for known in KNOWN[: len(first)]]
    algorithm.tell([outcome_of(proposal) for proposal in asked])
    assert algorithm.ask(1)[0].index == 5


@pytest.mark.usefixtures("yours")
@pytest.mark.parametrize(
    ("name", "words"), [("random", "random search"), ("my_algorithms:make", "my_algorithms:make")]
)
def test_an_algorithm_that_can_be_told_nothing_refuses_what_is_known(name, words):
    with pytest.raises(InputError, match=f"{words}.* no use for a warm start; surrogate"):
        create(named(name, {}), SPACE, seed=0, earlier=KNOWN)


def test_options_are_read_by_the_type_of_their_defaults():
    assert named("ppo", {"hidden": "32", "entropy": "1e-3"}) == PpoSettings(
        hidden=32, entropy=0.001
    )
    assert named("nsga2", {"population": "8"}) == Nsga2Settings(population=8)
    assert named("random", {}) == RandomSettings()
    assert named("guided", {"threshold": "0.4", "tournament": "3"}) == GuidedSettings(
        threshold=Threshold(value=0.4), tournament=3
    )
    assert named(
        "guided", {"threshold": "drawn", "ablation": "shuffled-weights"}
    ) == GuidedSettings(threshold=Threshold(value=None), ablation=Ablation.SHUFFLED_WEIGHTS)


def test_an_unknown_algorithm_is_told_which_there_are():
    with pytest.raises(InputError, match=r"'anneal'.*random, ppo, evolution, guided, nsga2, tpe"):
        settings_named("anneal", {})


@pytest.mark.parametrize("name", AlgorithmName)
def test_an_unknown_option_is_told_which_there_are(name):
    with pytest.raises(InputError, match="'speed'") as caught:
        settings_named(name, {"speed": "9"})
    for option in fields(named(name, {})):
        assert f"{option.name}={option.default}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "option", "text"),
    [
        ("evolution", "population", "many"),
        ("evolution", "population", "2.5"),
        ("evolution", "population", "0"),
        ("evolution", "tournament", "21"),
        ("ppo", "learning_rate", "nan"),
        ("ppo", "learning_rate", "-1"),
        ("ppo", "baseline_decay", "1"),
        ("ppo", "entropy", "-0.1"),
        ("ppo", "minibatch", "0"),
        ("nsga2", "population", "1"),
        ("nsga2", "objectives", "0"),
        ("tpe", "startup", "0"),
        ("tpe", "memory", "25"),
        ("surrogate", "noise", "-0.1"),
        ("guided", "threshold", "1.5"),
        ("guided", "threshold", "nan"),
        ("guided", "threshold", "half"),
        ("guided", "ablation", "weights"),
        ("guided", "tournament", "21"),
    ],
)
def test_a_value_that_does_not_fit_names_its_option(name, option, text):
    with pytest.raises(InputError, match=option) as caught:
        settings_named(name, {option: text})
    assert text in str(caught.value)


@pytest.mark.parametrize("settings", [PpoSettings(), TpeSettings()])
def test_algorithms_of_fixed_length_refuse_other_spaces(settings):
    with pytest.raises(InputError, match=r"Endless.*random, evolution, nsga2 and surrogate"):
        create(settings, Endless(), seed=0)


@pytest.mark.parametrize("space", [SPACE, Endless()])
def test_guided_evolution_names_spaces_with_weights_where_connections_carry_none(space):
    words = (
        r"connections carry weights: assemblenet, assemblenet_mobile, or .* gates=yes spinenet, "
        rf"spinenet_v2, spinenet_mbconv .*{type(space).__name__}\); random, evolution, nsga2"
    )
    with pytest.raises(InputError, match=words):
        create(GuidedSettings(), space, seed=0)


@pytest.mark.parametrize(
    "settings", [RandomSettings(), EvolutionSettings(), Nsga2Settings(), SurrogateSettings()]
)
def test_the_others_take_any_space(settings):
    assert len(create(settings, Endless(), seed=0).ask(3)) == 3


@pytest.mark.usefixtures("yours")
def test_an_algorithm_of_the_users_own_gets_space_seed_and_options():
    settings = settings_named("my_algorithms:make", {"more": "2"})
    assert settings == UserSettings(reference="my_algorithms:make", options={"more": "2"})
    ours = create(RandomSettings(), SPACE, seed=5)
    assert create(settings, SPACE, seed=3).ask(4) == ours.ask(4)


@pytest.mark.usefixtures("yours")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("takes_nothing", "a space, a seed and options"),
        ("NUMBER", "a space, a seed and options"),
        ("makes_a_list", "lacks ask, tell"),
        ("missing", "no name 'missing'"),
    ],
)
def test_what_is_no_algorithm_is_refused_in_one_sentence(name, message):
    with pytest.raises(InputError, match=message):
        create(UserSettings(reference=f"my_algorithms:{name}"), SPACE, seed=0)


def test_naming_algorithms_and_searching_without_learning_imports_neither_torch_nor_optuna():
    code = """
        import sys
        from controller.algorithm import create, settings_named
        from controller.settings import AlgorithmName
        from search_space.decisions import Choice, DecisionSpace
        space = DecisionSpace(choices=(Choice(name="a", options=("1", "2")),))
        for name in AlgorithmName:
            settings_named(name, {})
        for name in ("random", "evolution"):
            create(settings_named(name, {}), space, 0).ask(2)
        sys.exit(bool({"torch", "optuna", "numpy"} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False, timeout=60)
    assert done.returncode == 0
