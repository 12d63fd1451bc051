import itertools
import random
import subprocess
import sys
import timeit
from dataclasses import replace

import pytest

from search_space import catalog
from search_space.architecture import Classifier, Family
from search_space.chain import ChainArchitecture, Op, Skip, Stage, Stem
from search_space.layers import layers
from search_space.mnasnet import MnasNetSpace
from search_space.proxyless import ProxylessSpace
from training.analytic import STAND_IN, AnalyticExecutor, analytic_accuracy, receptive_field
from training.executor import TrainingError, TrainingJob
from training.schedule import Schedule

PUBLISHED = {  # ImageNet top-1: MnasNet, tables 1 and 4
    "mobilenet-v2@0.35": 0.603,
    "mnasnet-small": 0.660,
    "mobilenet-v2": 0.720,
    "mnasnet-b1": 0.745,
    "mobilenet-v2@1.4": 0.747,
    "mnasnet-a1": 0.752,
}


def chain(**changes) -> ChainArchitecture:
    stage = Stage(op=Op.MBCONV, kernel=3, stride=2, expansion=3, filters=24, repeats=2)
    stages = (
        replace(stage, filters=16, stride=1, expansion=1, repeats=1),
        stage,
        replace(stage, **{"filters": 40, **changes}),
        replace(stage, filters=80, repeats=3),
    )
    return ChainArchitecture(size=96, stem=Stem(filters=32), stages=stages)


def job(architecture) -> TrainingJob:
    return TrainingJob(
        id="0",
        architecture=architecture,
        task="analytic",
        schedule=Schedule(samples=1),
        seed=0,
        deadline_s=1.0,
    )


@pytest.mark.parametrize("space", [ProxylessSpace(), MnasNetSpace()])
def test_lies_between_0_and_1_on_both_spaces(space):
    rng = random.Random(0)
    found = [analytic_accuracy(space.decode(space.points.sample(rng))) for _ in range(200)]
    assert 0 < min(found) < max(found) < 1
    assert max(found) - min(found) > 0.02


@pytest.mark.parametrize(("name", "published"), PUBLISHED.items())
def test_published_networks_come_out_near_their_published_accuracy(name, published):
    found = analytic_accuracy(catalog.create(name))
    assert found == pytest.approx(published, abs=0.02)


@pytest.mark.parametrize("base", ["mobilenet-v2", "mnasnet-a1"])
def test_wider_networks_are_better_by_less_and_less(base):
    found = [analytic_accuracy(catalog.create(f"{base}@{width}")) for width in (0.5, 1, 1.5, 2)]
    gains = [after - before for before, after in itertools.pairwise(found)]
    assert gains == sorted(gains, reverse=True)
    assert gains[-1] > 0


@pytest.mark.parametrize(
    "better",
    [
        {"expansion": 6},
        {"repeats": 3},
        {"filters": 48},
        {"se_ratio": 0.25},
    ],
)
def test_more_of_a_stage_is_better(better):
    assert analytic_accuracy(chain(**better)) > analytic_accuracy(chain())


def test_layers_without_a_skip_count_less():
    assert analytic_accuracy(chain(skip=Skip.NONE)) < analytic_accuracy(chain())


def test_larger_inputs_are_better():
    network = catalog.create("mnasnet-a1")
    found = [analytic_accuracy(network.at(size)) for size in (96, 128, 160, 192, 224)]
    assert found == sorted(found)


def test_late_stages_want_larger_kernels_than_early_ones():
    space = ProxylessSpace()
    plain = [0] * 22
    early, late = list(plain), list(plain)
    early[1], late[17] = 2, 2
    value = [analytic_accuracy(space.decode(tuple(point))) for point in (early, plain, late)]
    assert value[0] < value[1] < value[2]


def test_a_receptive_field_grows_by_kernel_less_one_times_the_strides_before():
    network = ChainArchitecture(
        size=32,
        stem=Stem(filters=8),
        stages=(Stage(op=Op.CONV, kernel=5, stride=2, expansion=1, filters=8, repeats=2),),
    )
    assert receptive_field(layers(network)) == 1 + 2 + 2 * 4 + 4 * 4


def test_equal_keys_give_equal_accuracies():
    grouped = chain()
    stages = [replace(grouped.stages[1], repeats=1)]
    stages += [replace(grouped.stages[1], repeats=1, stride=1)]
    split = replace(grouped, stages=(grouped.stages[0], *stages, *grouped.stages[2:]))
    assert split.key == grouped.key
    assert analytic_accuracy(split) == analytic_accuracy(grouped)


def test_takes_well_under_a_millisecond():
    network = ProxylessSpace().decode((0,) * 22)
    timings = timeit.repeat(lambda: analytic_accuracy(network), number=10, repeat=20)
    assert min(timings) / 10 < 1e-3


def test_the_executor_answers_at_once_and_says_that_it_is_a_stand_in():
    executor = AnalyticExecutor()
    network = catalog.create("mnasnet-a1")
    result = executor.submit(job(network)).result(timeout=0)
    assert result.accuracy == analytic_accuracy(network)
    assert result.stand_in == STAND_IN
    assert "stand-in" in STAND_IN
    assert result.samples == 0
    executor.close()


def test_the_executor_fails_on_what_the_formula_does_not_know():
    class Other:
        family = Family.CHAIN
        key = "other_network"

    with pytest.raises(TrainingError, match="other_network"):
        AnalyticExecutor().submit(job(Other())).result(timeout=0)


def test_imports_neither_torch_nor_numpy():
    code = "import sys, training.analytic; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_a_head_is_no_part_of_it():
    network = catalog.create("mnasnet-a1")
    assert Classifier(classes=10) != Classifier(classes=1000)
    assert analytic_accuracy(network) == analytic_accuracy(replace(network, dropout=0.0))
