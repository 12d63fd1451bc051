"""Puts a search together from its configuration; everything wrong with it is found here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from controller import algorithm
from controller.confirm import LEAST_BEFORE, Confirming
from controller.constraints import constrained
from controller.earlier import NOTHING_KNOWN, Earlier
from controller.evaluation import EvaluationSettings
from controller.feasibility import require_feasible
from controller.reward import Reward, RewardMode
from controller.search import Mode, SearchSettings
from devices.device import ClockTier, Delegate
from devices.recovery import RECONNECT
from exporters.artifact import Precision
from exporters.exporter import ExporterName
from latency import source as latency_source
from latency.presets import preset
from latency.source import LatencySource, SourceSettings
from pocketnas.config import ANALYTIC, SearchConfig
from search_space import space as spaces
from search_space.architecture import Classifier, Head
from search_space.space import SearchSpace, SpaceName
from training import executor as executors
from training.executor import Executor, ExecutorSettings, Schedule
from training.task import Proxy
from training.task import create as create_task
from workspace import plugin
from workspace.errors import InputError

_SPACE_DEFAULTS = {
    SpaceName.MNASNET: ("strides", "width", "stem_filters", "head_filters", "channels"),
    SpaceName.PROXYLESS: ("strides", "stem_filters", "head_filters", "channels"),
}
"""What each space takes of a data set's recommendations."""

_PREDICTS = ("table:", "predictor:", "hybrid:")
"""Sources that know networks of a space of their own, which is not made smaller to suit data."""

_TRAIN_SIZE = 64
"""Where a network cannot run at the size that its data set recommends."""

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
    """

    config: SearchConfig
    space: SearchSpace
    algorithm: algorithm.SearchAlgorithm
    settings: SearchSettings
    evaluation: EvaluationSettings
    reward: Reward
    source: LatencySource
    final_source: LatencySource
    executor: Executor

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
        check_target: Whether to find out that some network meets the target.

    Raises:
        InputError: If any part cannot be used; the text says which.
        OperationError: If a device does not answer.
    """
    space, head = space_of(config), head_of(config)
    reward = reward_of(config)
    searcher = algorithm_of(config, space, earlier)
    for name in (config.preset, config.final_preset):
        preset(name)
    executor = executors.create(
        ExecutorSettings(command=config.train_command, stand_in=config.dataset == ANALYTIC)
    )
    source = source_of(config, config.latency)
    final = source
    try:
        final = source_of(config, config.final_on) if config.final_on else source
        evaluation = evaluation_of(config, space)
        if check_target:
            require_feasible(space, head, source, reward, evaluation.timed_size)
    except BaseException:
        for each in {id(source): source, id(final): final}.values():
            each.close()
        executor.close()
        raise
    settings = SearchSettings(trials=config.trials, window=config.window, mode=Mode(config.mode))
    return Assembly(config, space, searcher, settings, evaluation, reward, source, final, executor)


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
            can do nothing with what is known, or nothing in it keeps the constraints, or too few
            trials come before those that are evaluated again.
    """
    points = constrained(space, config.constraints, head_of(config), config.size)
    settings = algorithm.settings_named(config.algorithm, config.algorithm_options)
    made = algorithm.create(
        settings, points, config.seed, reward=reward_of(config), earlier=earlier.known
    )
    if not config.confirm:
        return made
    if config.trials - config.confirm < LEAST_BEFORE:
        msg = (
            f"confirm must leave at least {LEAST_BEFORE} of the {config.trials} trials to the "
            f"search, got {config.confirm}"
        )
        raise InputError(msg)
    return Confirming(made, after=config.trials - config.confirm, again=config.confirm)


def reward_of(config: SearchConfig) -> Reward:
    """What candidates of a search are worth.

    Raises:
        InputError: If the target is no latency.
    """
    return Reward(mode=RewardMode(config.reward), target_ms=config.target_ms)


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
    if config.classes is not None:
        return task.proxy, Classifier(classes=config.classes)
    return task.proxy, task.head


def space_options_of(config: SearchConfig) -> dict[str, str]:
    """What was given, on top of what suits the data where latencies are of no published table.

    Raises:
        InputError: If there is no such data set.
    """
    proxy, _ = _task(config)
    options = dict(config.space_options)
    if config.space not in set(SpaceName):
        return options
    if not config.latency.startswith(_PREDICTS) and config.dataset != ANALYTIC:
        for name in _SPACE_DEFAULTS[SpaceName(config.space)]:
            if name in proxy.space_options:
                options.setdefault(name, proxy.space_options[name])
        options.setdefault("size", str(config.size or proxy.size))
    elif config.size is not None:
        options.setdefault("size", str(config.size))
    return options


def evaluation_of(config: SearchConfig, space: SearchSpace) -> EvaluationSettings:
    """How candidates of a search are evaluated.

    Raises:
        InputError: If there is no such data set, or its networks cannot be trained at the size.
    """
    proxy, head = _task(config)
    given = {
        "samples": config.samples,
        "batch": config.batch,
        "learning_rate": config.learning_rate,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
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
    )


def _train_size(config: SearchConfig, proxy: Proxy, space: SearchSpace) -> int | None:
    """What was given, else the timed size where the data suits it, else what the data suits."""
    if config.train_size is not None or config.dataset == ANALYTIC:
        return config.train_size
    if not config.latency.startswith(_PREDICTS):
        return config.size
    import random

    example = space.decode(space.points.sample(random.Random(0)))
    try:
        example.at(proxy.size)
    except InputError:
        return _TRAIN_SIZE
    return proxy.size


def source_of(config: SearchConfig, text: str) -> LatencySource:
    """What ``text`` names, as a search uses it.

    Raises:
        InputError: If there is no such source, or the exporter's files are not for it.
        OperationError: If a device does not answer.
    """
    from exporters.exporter import create as create_exporter

    _require_timed(config, text)
    if plugin.is_reference(config.exporter) or config.exporter != "tflite":
        create_exporter(config.exporter, Precision(config.precision))
    settings = SourceSettings(
        threads=config.threads,
        delegate=Delegate(config.delegate),
        clock_tier=ClockTier(config.clock_tier),
        precision=Precision(config.precision),
        exporter=config.exporter,
        recovery=replace(
            RECONNECT,
            reboot="reboot" in config.phone_recovery,
            power_cycle="power-cycle" in config.phone_recovery,
        ),
    )
    return latency_source.create(text, settings)


def _require_timed(config: SearchConfig, text: str) -> None:
    """Do nothing if devices time what the exporter writes; a table needs no files.

    Raises:
        InputError: If it writes something else than TFLite.
    """
    device = text.rpartition(",")[2] if text.startswith("hybrid:") else text
    on_devices = device == "host" or device.startswith("adb:")
    if on_devices and config.exporter in (ExporterName.ONNX, ExporterName.SAVED_MODEL):
        known = f"{ExporterName.TFLITE}, {ExporterName.LITERT} and {ExporterName.TENSORFLOW}"
        msg = (
            f"exporter {config.exporter!r} writes no TFLite files, as {text!r} times; "
            f"{known} do; 'pocketnas export RUN:best --format {config.exporter}' makes others"
        )
        raise InputError(msg)
