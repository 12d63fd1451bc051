"""What ``pocketnas proxy`` does: a plan out of settings, and the trainings."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from controller.proxy_check import ProxyCheck, ProxyPlan, ProxyTask, check
from latency.table_plan import random_networks
from pocketnas.assembly import evaluation_of, head_of, space_of
from pocketnas.config import ANALYTIC, SearchConfig
from search_space.architecture import Classifier, VideoClassifier
from training import executor as executors
from training.executor import ExecutorSettings
from workspace.errors import InputError

NETWORKS_SEED = "proxy check"


def checked(
    config: SearchConfig,
    texts: Sequence[str],
    *,
    networks: int,
    seeds: int,
    log: Path,
    least: float,
    say: Callable[[str], None],
) -> ProxyCheck:
    """Train networks of a space by the full task and by proxies, and compare their order.

    Args:
        config: Space, data and full training, as of a search.
        texts: Proxies, as ``ProxyTask.parse`` reads.
        networks: How many, random ones by the configuration's seed.
        seeds: Trainings of each with each task.
        log: Where trainings are kept.
        least: Rank correlation that is asked for.
        say: Is told of each training.

    Raises:
        InputError: If a setting or a proxy cannot be used.
        OperationError: If a training fails.
    """
    plan = _plan(config, texts, networks=networks, seeds=seeds)
    executor = executors.create(ExecutorSettings(command=config.train_command))
    try:
        return check(plan, executor, log, least, say)
    finally:
        executor.close()


def _plan(config: SearchConfig, texts: Sequence[str], *, networks: int, seeds: int) -> ProxyPlan:
    if config.dataset == ANALYTIC:
        msg = f"{ANALYTIC!r} trains nothing, so there is no proxy to check: name a data set"
        raise InputError(msg)
    head, space = head_of(config), space_of(config)
    if not isinstance(head, Classifier | VideoClassifier):
        msg = f"proxies are checked for classification, and {config.dataset!r} is none"
        raise InputError(msg)
    evaluation = evaluation_of(config, space)
    seed = random.Random(f"{NETWORKS_SEED}/{config.seed}").getrandbits(32)
    found = random_networks(space, head, networks, seed=seed)
    plan = ProxyPlan(
        networks=tuple(one.architecture for one in found),
        head=head,
        task=config.dataset,
        schedule=evaluation.schedule,
        size=evaluation.train_size,
        proxies=tuple(map(ProxyTask.parse, texts)),
        seeds=seeds,
        deadline_s=config.train_deadline_s,
        program=config.train_command,
    )
    for proxy in plan.proxies:  # found out before hours are spent
        for network in range(networks):
            plan.job(network, proxy, 0)
    return plan
