import json
import random
from concurrent.futures import Future
from dataclasses import replace

import pytest

from controller.proxy_check import ProxyPlan, ProxyTask, check
from search_space.architecture import Classifier
from search_space.chain import ChainArchitecture, Op, Stage, Stem
from search_space.layers import macs
from training.executor import TrainingError, TrainingJob, TrainingResult
from training.schedule import Schedule
from workspace.errors import InputError, OperationError

HEAD = Classifier(classes=10)


def network(filters: int) -> ChainArchitecture:
    stage = Stage(op=Op.MBCONV, kernel=3, stride=2, expansion=3, filters=filters, repeats=1)
    return ChainArchitecture(size=16, stem=Stem(filters=8), stages=(stage,), head_filters=32)


NETWORKS = tuple(network(filters) for filters in (8, 16, 24, 32, 40, 48))
PLAN = ProxyPlan(
    networks=NETWORKS,
    head=HEAD,
    task="digits",
    schedule=Schedule(samples=1000),
    size=16,
    proxies=(ProxyTask(samples=500), ProxyTask(samples=100, size=8)),
    seeds=2,
    deadline_s=60.0,
)


def chain(job: TrainingJob) -> ChainArchitecture:
    assert isinstance(job.architecture, ChainArchitecture)
    return job.architecture


class MadeUpTraining:
    """Wider is better; below 200 samples it is all luck. Nothing is trained."""

    lanes = 1
    on_this_computer = False
    deterministic = True
    stops_early = False

    def __init__(self, fail_after: int | None = None) -> None:
        self.jobs: list[TrainingJob] = []
        self._fail_after = fail_after

    def submit(self, job: TrainingJob) -> Future[TrainingResult]:
        if len(self.jobs) == self._fail_after:
            msg = "out of memory"
            raise TrainingError(msg)
        self.jobs.append(job)
        luck = random.Random(job.id).random()
        worth = chain(job).stages[0].filters / 100
        samples = job.schedule.samples
        accuracy = luck if samples < 200 else 0.3 + worth + 0.01 * luck
        future: Future[TrainingResult] = Future()
        future.set_result(
            TrainingResult(
                accuracy=accuracy,
                samples=samples,
                seconds=samples / 100,
                stand_in="a fake: nothing was trained",
            )
        )
        return future

    def close(self) -> None:
        """Nothing is open."""


def checked(tmp_path, executor=None, plan=PLAN, least=0.8):
    said: list[str] = []
    found = check(plan, executor or MadeUpTraining(), tmp_path / "log.jsonl", least, said.append)
    return found, said


def test_the_cheapest_proxy_that_keeps_the_order_is_found(tmp_path):
    found, said = checked(tmp_path)
    luck, half = found.proxies
    assert str(luck.task) == "samples=100,size=8"
    assert half.spearman == 1.0
    assert half.low == half.high == 1.0
    assert luck.spearman < 0.8
    assert found.cheapest == half
    assert len(said) == 2 * 3 * len(NETWORKS)
    assert said[-1].startswith("36 of 36: proxy-5-")


def test_costs_are_shares_of_the_full_training(tmp_path):
    found, _ = checked(tmp_path)
    luck, half = found.proxies
    assert found.full.cost == 1.0
    assert half.cost == 0.5
    shares = [macs(one.at(8), HEAD) / macs(one, HEAD) for one in NETWORKS]
    assert luck.cost == pytest.approx(0.1 * sum(shares) / len(shares))
    assert (found.full.seconds, half.seconds) == (10.0, 5.0)


def test_how_far_seeds_differ_and_agree_is_told(tmp_path):
    found, _ = checked(tmp_path)
    assert found.full.spearman == 1.0
    assert 0.0005 < found.full.noise < 0.01
    assert found.proxies[0].noise > 0.1


def test_from_one_seed_there_is_no_noise_to_tell(tmp_path):
    found, _ = checked(tmp_path, plan=replace(PLAN, seeds=1))
    assert found.full.noise is None
    assert found.full.spearman is None
    assert found.proxies[1].spearman == 1.0


def test_if_none_keeps_the_order_none_is_named(tmp_path):
    found, _ = checked(tmp_path, plan=replace(PLAN, proxies=PLAN.proxies[1:]))
    assert found.cheapest is None


def test_a_check_that_was_cut_off_goes_on_where_it_was(tmp_path):
    with pytest.raises(OperationError, match=r"proxy-.* failed, what was trained is kept"):
        checked(tmp_path, MadeUpTraining(fail_after=10))
    log = tmp_path / "log.jsonl"
    log.write_text(log.read_text() + '{"key": "abc')
    rest = MadeUpTraining()
    found, _ = checked(tmp_path, rest)
    assert len(rest.jobs) == 36 - 10
    whole, _ = checked(tmp_path / "other")
    assert found == whole
    assert len([json.loads(line) for line in log.read_text().splitlines()]) == 36


def test_what_another_program_trained_is_trained_again(tmp_path):
    checked(tmp_path)
    other = MadeUpTraining()
    checked(tmp_path, other, plan=replace(PLAN, program="python train.py {arch} {result}"))
    assert len(other.jobs) == 36


def test_more_seeds_take_what_was_trained_before(tmp_path):
    checked(tmp_path)
    more = MadeUpTraining()
    checked(tmp_path, more, plan=replace(PLAN, seeds=3))
    assert {job.seed for job in more.jobs} == {2}
    assert len(more.jobs) == 18


def test_a_file_that_is_no_log_is_refused_and_kept(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text("choices,accuracy\n000,1\n")
    with pytest.raises(InputError, match="line 1 is no training of a proxy check"):
        checked(tmp_path)
    assert log.read_text() == "choices,accuracy\n000,1\n"


def test_a_narrower_network_has_its_channels_multiplied(tmp_path):
    half = ProxyTask(samples=500, width=0.5).network(network(32))
    assert isinstance(half, ChainArchitecture)
    assert (half.stem.filters, half.stages[0].filters, half.head_filters) == (8, 16, 16)
    plan = replace(PLAN, proxies=(ProxyTask(samples=500, width=0.5),))
    executor = MadeUpTraining()
    found, _ = checked(tmp_path, executor, plan=plan)
    assert found.proxies[0].cost < 0.5
    assert any(chain(job).head_filters == 16 for job in executor.jobs)


@pytest.mark.parametrize(
    "text", ["", "size=16", "samples=0", "samples=x", "samples=10,depth=2", "samples=10,size=-1"]
)
def test_what_is_no_proxy_is_quoted(text):
    with pytest.raises(InputError, match=r"a proxy is samples=NUMBER") as caught:
        ProxyTask.parse(text)
    assert repr(text) in str(caught.value)


def test_a_width_out_of_range_is_named():
    with pytest.raises(InputError, match="width multiplier"):
        ProxyTask.parse("samples=10,width=99")


@pytest.mark.parametrize("text", ["samples=10", "samples=10,size=8", "samples=10,width=0.5"])
def test_a_proxy_is_written_as_it_is_read(text):
    assert str(ProxyTask.parse(text)) == text


def test_too_few_networks_are_refused():
    with pytest.raises(InputError, match="at least 4 networks"):
        replace(PLAN, networks=NETWORKS[:3])
