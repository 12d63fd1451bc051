"""Puts a search together from its configuration; everything wrong with it is found here."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from controller import algorithm
from controller.confirm import LEAST_BEFORE, Confirming
from controller.constraints import constrained
from controller.earlier import NOTHING_KNOWN, Earlier, Known
from controller.early_stopping import EarlyStopping, StoppingSettings
from controller.evaluation import EvaluationSettings
from controller.feasibility import require_feasible, require_small_enough
from controller.fleet_aim import DeviceAim
from controller.fleet_feasibility import require_feasible_fleet
from controller.phased import Phased, planned
from controller.reward import Reward, SearchReward
from controller.reward import create as create_reward
from controller.search import Mode, SearchSettings
from controller.settings import AlgorithmName
from exporters.artifact import Precision
from latency.fleet import FleetSource
from latency.load import FleetRule
from latency.presets import preset
from latency.source import LatencySource
from pocketnas.config import ANALYTIC, PREDICTS, SearchConfig
from pocketnas.heads import require_head
from pocketnas.objectives import (
    algorithm_options,
    objectives_of,
    require_objectives,
    require_told,
)
from pocketnas.sources import sources_of
from search_space import space as spaces
from search_space.architecture import Classifier, Detector, Head
from search_space.decisions import PointSpace
from search_space.phases import PhasedSpace
from search_space.space import SearchSpace, SpaceName
from search_space.spinenet_scaling import larger_size
from training import executor as executors
from training.executor import Executor, ExecutorSettings
from training.schedule import Schedule
from training.task import Proxy, seen_by
from training.task import create as create_task
from workspace.errors import InputError

_SPACE_DEFAULTS = {
    SpaceName.MNASNET: ("strides", "width", "stem_filters", "head_filters", "channels"),
    SpaceName.PROXYLESS: ("strides", "stem_filters", "head_filters", "channels"),
    SpaceName.EFFICIENTNET: ("strides", "width", "stem_filters", "head_filters", "channels"),
    SpaceName.EFFICIENTNET_V2: ("strides", "width", "stem_filters", "head_filters", "channels"),
    SpaceName.SPINENET: ("strides", "stem_filters", "channels"),
    SpaceName.SPINENET_V2: ("strides", "stem_filters", "channels"),
    SpaceName.SPINENET_MBCONV: ("strides", "stem_filters", "channels"),
    SpaceName.SPINENET_SCALING: ("strides", "stem_filters", "channels"),
    SpaceName.ASSEMBLENET: ("strides", "channels", "frames", "width", "repeats", "flow"),
    SpaceName.ASSEMBLENET_MOBILE: ("strides", "channels", "frames", "width", "repeats", "flow"),
}
"""What each space takes of a data set's recommendations."""

_DETECTOR = ("filter_scale", "alpha", "endpoint_filters", "head_convs", "head_filters")
_DETECTOR_DEFAULTS = {
    SpaceName.SPINENET: _DETECTOR,
    SpaceName.SPINENET_V2: _DETECTOR,
    SpaceName.SPINENET_MBCONV: _DETECTOR,
    SpaceName.SPINENET_SCALING: ("width",),
}
"""What it takes besides of one with boxes; elsewhere such names are of the widths of chains."""

_TRAIN_SIZE = 64
"""Where a network cannot run at the size that its data set recommends."""

_SIZED = 16
"""Networks of a space that are tried at the size that is asked for: not all need the same."""

ANALYTIC_CLASSES = 1000
"""Of the analytic stand-in, whose constants are made for ImageNet's."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts of a search.

    Attributes:
        config: What they were made from.
        space: Where it goes.
        algorithm: Fresh.
        settings: Of the loop.
        evaluation: How candidates are evaluated.
        reward: With the target.
        source: Gives latencies; to be closed.
        final_source: Gives those of the front at the end; may be the same.
        executor: Gives accuracies; to be closed.
        stopping: Stops trainings early; None trains each to its end.
    """

    config: SearchConfig
    space: SearchSpace
    algorithm: algorithm.SearchAlgorithm
    settings: SearchSettings
    evaluation: EvaluationSettings
    reward: SearchReward
    source: LatencySource
    final_source: LatencySource
    executor: Executor
    stopping: EarlyStopping | None

    def close(self) -> None:
        """Give back devices and processes."""
        self.executor.close()
        self.source.close()
        if self.final_source is not self.source:
            self.final_source.close()


def assemble(
    config: SearchConfig, earlier: Earlier = NOTHING_KNOWN, *, check_target: bool
) -> Assembly:
    """All parts, made and checked; devices are there and answer.

    Args:
        config: Of the search.
        earlier: What is known before it.
        check_target: Whether to find out, before it starts, that some network meets the target and
            that the objectives can be had.

    Raises:
        InputError: If any part cannot be used; the text says which.
        OperationError: If a device does not answer.
    """
    space, head = space_of(config), head_of(config)
    reward = reward_of(config)
    searcher = algorithm_of(config, space, earlier)
    evaluation = evaluation_of(config, space)
    if check_target:
        example = space.decode(space.points.sample(random.Random("head")))
        require_head(example, head, config.dataset)
        if config.dataset != ANALYTIC and not config.train_command:
            seen_by(create_task(config.dataset), example.inputs)  # it has what networks take
        require_objectives(config, space, head)
        _require_weights(config)
    for name in (config.preset, config.final_preset):
        preset(name)
    executor = executors.create(
        ExecutorSettings(command=config.train_command, stand_in=config.dataset == ANALYTIC)
    )
    source, final = sources_of(config, reward)
    try:
        stopping = _stopping(config, evaluation, reward, executor)
        if check_target:
            size = evaluation.timed_size
            if isinstance(source, FleetSource) and isinstance(reward, Reward):
                require_feasible_fleet(space, head, source, reward, size)
            else:
                found = require_feasible(space, head, source, reward, size)
                require_told(evaluation.objectives, found)
            if config.target_macs is not None and isinstance(head, Classifier):
                require_small_enough(space, head, config.target_macs, size)
    except BaseException:
        for each in {id(source): source, id(final): final}.values():
            each.close()
        executor.close()
        raise
    settings = SearchSettings(trials=config.trials, window=config.window, mode=Mode(config.mode))
    return Assembly(
        config,
        space,
        searcher,
        settings,
        evaluation,
        reward,
        source,
        final,
        executor,
        stopping,
    )


def algorithm_of(
    config: SearchConfig, space: SearchSpace, earlier: Earlier = NOTHING_KNOWN
) -> algorithm.SearchAlgorithm:
    """The algorithm of a search, fresh.

    Args:
        config: Of the search.
        space: Where it goes.
        earlier: What is known before it.

    Raises:
        InputError: If there is no such algorithm or option, or it cannot search the space, or
            can do nothing with what is known, or nothing in it keeps the constraints, or it has no
            such phases, or too few trials come before those that are evaluated again.
    """
    precision = Precision(config.precision)
    points = constrained(space, config.constraints, head_of(config), config.size, precision)
    settings = algorithm.settings_named(config.algorithm, algorithm_options(config))
    reward = reward_of(config)

    def make(
        points: PointSpace,
        seed: int,
        known: Sequence[Known],
        start: algorithm.Evaluated | None = None,
    ) -> algorithm.SearchAlgorithm:
        return algorithm.create(
            settings,
            points,
            seed,
            reward=reward if isinstance(reward, Reward) else None,
            devices=_device_aims(config, reward),
            earlier=known,
            start=start,
        )

    if config.confirm and config.trials - config.confirm < LEAST_BEFORE:
        msg = (
            f"confirm must leave at least {LEAST_BEFORE} of the {config.trials} trials to the "
            f"search, got {config.confirm}"
        )
        raise InputError(msg)
    if config.phases:
        if config.algorithm == AlgorithmName.GUIDED:
            msg = (
                f"algorithm {config.algorithm} changes connections and blocks together, so it "
                "searches no phases: leave --phase out"
            )
            raise InputError(msg)
        plan = planned(space, config.phases, config.trials - config.confirm)
        if earlier.known:  # of which the first phase need not be told anything
            algorithm.require_use_of_known(settings)
        assert isinstance(space, PhasedSpace)  # it has phases
        made: algorithm.SearchAlgorithm = Phased(
            points,
            space.plain,
            plan,
            make,
            seed=config.seed,
            earlier=earlier.known,
        )
    else:
        made = make(points, config.seed, earlier.known)
    if not config.confirm:
        return made
    return Confirming(made, after=config.trials - config.confirm, again=config.confirm)


def _require_weights(config: SearchConfig) -> None:
    """Raise if nothing is trained that could tell a guided search of its connections."""
    if config.algorithm == AlgorithmName.GUIDED and config.dataset == ANALYTIC:
        msg = (
            f"algorithm {config.algorithm} goes by connection weights, which trainings tell, and "
            f"{ANALYTIC!r} trains nothing; take a data set"
        )
        raise InputError(msg)


def _stopping(
    config: SearchConfig, evaluation: EvaluationSettings, reward: SearchReward, executor: Executor
) -> EarlyStopping | None:
    """What stops trainings early, where that is asked for.

    Raises:
        InputError: If nothing here can be stopped, or the schedule is too short for it.
    """
    defaults = StoppingSettings()
    if not config.stop_early:
        if (config.reduction, config.rungs) != (defaults.reduction, defaults.rungs):
            msg = "--reduction and --rungs are without effect unless --stop-early is given"
            raise InputError(msg)
        return None
    if not executor.stops_early:
        why = f"{ANALYTIC!r} trains nothing"
        if config.train_command:
            why = f"the training command {config.train_command!r} has no {{rungs}}"
        msg = f"--stop-early needs a training that can be stopped, and {why}"
        raise InputError(msg)
    chosen = algorithm.settings_named(config.algorithm, algorithm_options(config))
    settings = StoppingSettings(
        reduction=config.reduction, rungs=config.rungs, by_front=algorithm.seeks_front(chosen)
    )
    samples = settings.samples(evaluation.schedule.samples, evaluation.schedule.batch)
    return EarlyStopping(settings, samples, reward, evaluation.objectives)


def _device_aims(config: SearchConfig, reward: SearchReward) -> dict[str, DeviceAim] | None:
    """What each device of a fleet wants; None where one network is for all."""
    if not config.fleet or FleetRule(config.fleet_rule) is not FleetRule.EACH:
        return None
    assert isinstance(reward, Reward)  # others have no fleet
    return {
        entry.name: DeviceAim(
            reward=replace(reward, target_ms=entry.target_ms), weight=entry.weight
        )
        for entry in config.fleet
    }


def reward_of(config: SearchConfig) -> SearchReward:
    """What candidates of a search are worth; with a fleet, by their load.

    Raises:
        InputError: If the target is no latency.
    """
    return create_reward(config.reward, target_ms=config.target, target_macs=config.target_macs)


def space_of(config: SearchConfig) -> SearchSpace:
    """The space of a search, with what suits its data.

    Raises:
        InputError: If there is no such space, data set or option.
    """
    return spaces.create(config.space, space_options_of(config))


def head_of(config: SearchConfig) -> Head:
    """What the networks of a search end in.

    Raises:
        InputError: If there is no such data set.
    """
    return _task(config)[1]


def _task(config: SearchConfig) -> tuple[Proxy, Head]:
    if config.dataset == ANALYTIC:
        if config.train_command:
            msg = f"--train-command trains, {ANALYTIC!r} does not: give one of the two"
            raise InputError(msg)
        proxy = Proxy(size=224, schedule=Schedule(samples=1))
        return proxy, Classifier(classes=config.classes or ANALYTIC_CLASSES)
    try:
        task = create_task(config.dataset)
    except InputError as error:
        msg = f"{error}; {ANALYTIC} for a formula instead of training"
        raise InputError(msg) from error
    if config.classes is None:
        return task.proxy, task.head
    is_other = config.classes != task.head.classes
    if isinstance(task.head, Detector) and is_other and not config.train_command:
        msg = (
            f"the things in {config.dataset!r} are of {task.head.classes} classes, and so are the "
            f"detectors that learn to find them: leave out --classes, got {config.classes}"
        )
        raise InputError(msg)
    return task.proxy, replace(task.head, classes=config.classes)


def space_options_of(config: SearchConfig) -> dict[str, str]:
    """What was given, on top of what suits the data where latencies are of no published table.

    Raises:
        InputError: If there is no such data set.
    """
    proxy, head = _task(config)
    options = dict(config.space_options)
    if config.space not in set(SpaceName):
        return options
    space = SpaceName(config.space)
    if not _predicts(config) and config.dataset != ANALYTIC:
        names = _SPACE_DEFAULTS[space]
        if isinstance(head, Detector):
            names += _DETECTOR_DEFAULTS.get(space, ())
        for name in names:
            if name in proxy.space_options:
                options.setdefault(name, proxy.space_options[name])
        suits = larger_size(proxy.size) if space is SpaceName.SPINENET_SCALING else proxy.size
        options.setdefault("size", str(config.size or suits))
    elif config.size is not None:
        options.setdefault("size", str(config.size))
    return options


def evaluation_of(config: SearchConfig, space: SearchSpace) -> EvaluationSettings:
    """How candidates of a search are evaluated.

    Raises:
        InputError: If there is no such data set, its networks cannot be trained at the size, or
            the training command is not told of a setting.
    """
    proxy, head = _task(config)
    given = {
        "samples": config.samples,
        "batch": config.batch,
        "learning_rate": config.learning_rate,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    if config.train_command:
        _require_told(config.train_command, [name for name in chosen if name != "samples"])
    return EvaluationSettings(
        task=config.dataset,
        head=head,
        schedule=replace(proxy.schedule, **chosen),  # type: ignore[arg-type] # by field name
        seed=config.seed,
        timed_size=config.size,
        train_size=_train_size(config, proxy, space),
        preset=config.preset,
        deadline_s=config.train_deadline_s,
        skip_above=config.skip_above,
        objectives=objectives_of(config),
        precision=Precision(config.precision),
    )


def _require_told(command: str, settings: Sequence[str]) -> None:
    from training.command_executor import asked_by

    asked = asked_by(command)
    untold = [name for name in settings if name not in asked]
    if untold:
        msg = (
            f"{' and '.join(untold)} would be without effect, since the training command "
            f"{command!r} has no {{{untold[0]}}}: leave it out"
        )
        raise InputError(msg)


def _train_size(config: SearchConfig, proxy: Proxy, space: SearchSpace) -> int | None:
    """What was given, else the timed size where the data suits it, else what the data suits.

    Raises:
        InputError: If networks of the space cannot run at the size that was given.
    """
    if config.train_size is not None:
        _require_trainable(space, config.train_size)
    if config.train_size is not None or config.dataset == ANALYTIC:
        return config.train_size
    if not _predicts(config):
        return config.size
    example = space.decode(space.points.sample(random.Random(0)))
    try:
        example.at(proxy.size)
    except InputError:
        return _TRAIN_SIZE
    return proxy.size


def _require_trainable(space: SearchSpace, size: int) -> None:
    """Raise if some networks of a space cannot run at a size."""
    rng = random.Random("train size")
    for _ in range(_SIZED):
        try:
            network = space.decode(space.points.sample(rng))
        except InputError:  # a point without a network
            continue
        try:
            network.at(size)
        except InputError as error:
            msg = (
                f"networks of the space {space.name!r} cannot be trained at {size} pixels: {error}"
            )
            raise InputError(msg) from error


def _predicts(config: SearchConfig) -> bool:
    """Whether a source knows networks of a space of its own."""
    return any(text.startswith(PREDICTS) for text in config.sources)
