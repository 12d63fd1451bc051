"""``pocketnas search``: the loop, from a configuration or from flags."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pocketnas.cli.output import AsJson
from training.task import FORMS

Text = str | None

SEARCHING = "What is searched, and how"
TIMING = "What is timed, and how"
TRAINING = "What is trained, and how"


def search(
    config: Annotated[
        Path | None,
        typer.Argument(help="A TOML file with the settings below.", show_default=False),
    ] = None,
    *,
    target_ms: Annotated[
        float | None,
        typer.Option(
            help="Latency the network may take, in ms (required without --fleet).",
            rich_help_panel=TIMING,
        ),
    ] = None,
    target_macs: Annotated[
        float | None,
        typer.Option(
            help="With --reward macs: multiply-adds that are aimed at, e.g. 4e8.",
            rich_help_panel=TIMING,
        ),
    ] = None,
    latency: Annotated[
        Text,
        typer.Option(
            help="What times candidates: host, adb:SERIAL, adb:any, table:pixel1, table:PATH, "
            "predictor:NAME, hybrid:TABLE,DEVICE (predicted, measured where that decides), "
            "or package.module:NAME.",
            show_default="host",
            rich_help_panel=TIMING,
        ),
    ] = None,
    final_on: Annotated[
        Text,
        typer.Option(
            help="What times the front at the end: a device, where candidates are predicted "
            "(of a fleet, final_on of its [[fleet]] entries).",
            show_default="--latency",
            rich_help_panel=TIMING,
        ),
    ] = None,
    fleet: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]SOURCE@TARGET_MS[*WEIGHT]",
            help="One of several devices, instead of --latency and --target-ms, e.g. "
            "'old=adb:SERIAL@80'; repeated for each. Every network is timed on all.",
            rich_help_panel=TIMING,
        ),
    ] = None,
    fleet_rule: Annotated[
        Text,
        typer.Option(
            help="What counts of a fleet's loads (latency over its device's target): worst, the "
            "largest; weighted, their mean; each, the mean of the devices' rewards, where each "
            "device will have a network of its own.",
            show_default="worst",
            rich_help_panel=TIMING,
        ),
    ] = None,
    dataset: Annotated[
        Text,
        typer.Option(
            help=f"What they are trained on: {FORMS}; or analytic-standin (a formula, no "
            "training).",
            show_default="digits",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    space: Annotated[
        Text,
        typer.Option(
            help="mnasnet, proxyless, efficientnet, efficientnetv2, spinenet, spinenet_v2, "
            "spinenet_mbconv, spinenet_scaling, assemblenet, assemblenet_mobile, or "
            "package.module:NAME.",
            show_default="mnasnet",
            rich_help_panel=SEARCHING,
        ),
    ] = None,
    space_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Setting of the space; may be repeated. Of assemblenet, stems with object need a "
            "task of your own: no data set that ships has maps of objects.",
            rich_help_panel=SEARCHING,
        ),
    ] = None,
    algorithm: Annotated[
        Text,
        typer.Option(
            help="random, ppo, evolution, guided (by learned connection weights, where a space's "
            "networks have them), nsga2, tpe, surrogate, or package.module:NAME.",
            show_default="evolution",
            rich_help_panel=SEARCHING,
        ),
    ] = None,
    algorithm_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Setting of the algorithm; may be repeated.",
            rich_help_panel=SEARCHING,
        ),
    ] = None,
    reward: Annotated[
        Text,
        typer.Option(
            help="soft: slower networks are worth a little less; hard: the target is a limit; "
            "macs: as soft, of multiply-adds (EfficientNet's); training-aware: of the time of a "
            "training step and of parameters (EfficientNetV2's).",
            show_default="soft",
            rich_help_panel=SEARCHING,
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(help="Networks to evaluate.", show_default="100", rich_help_panel=SEARCHING),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What the front is of, accuracy among them; may be repeated: accuracy, "
            "latency_ms, params, macs, size_mb (the file's weights), activation_mb (exact), "
            "peak_memory_mb (as sessions on a device tell), energy_mj (of an inference, on phones "
            "with power rails), train_step_ms (of a training step). nsga2 weighs all that are "
            "named; so does surrogate, where they are others than the reward is of.",
            show_default="accuracy and what the reward is of",
            rich_help_panel=SEARCHING,
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIGURE<=NUMBER",
            help="Propose only networks that keep this, e.g. 'params<=3e6'; may be repeated: "
            "params, macs, size_mb, activation_mb.",
            rich_help_panel=SEARCHING,
        ),
    ] = None,
    phase: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=TRIALS",
            help="Search some decisions first, then others with the best that was found fixed; "
            "given for each phase in turn, the last with NAME alone for all trials that are left: "
            "of scale-permuted spaces graph (permutation and connections) and adjustments.",
            show_default="all decisions at once",
            rich_help_panel=SEARCHING,
        ),
    ] = None,
    confirm: Annotated[
        int | None,
        typer.Option(
            help="The last so many trials train the best networks again, so that luck is told "
            "from worth.",
            show_default="0",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    stop_early: Annotated[
        bool | None,
        typer.Option(
            "--stop-early/--train-all",
            help="Stop trainings that fall behind the others early; what they would have given is "
            "estimated.",
            show_default="--train-all",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    reduction: Annotated[
        int | None,
        typer.Option(
            help="With --stop-early: one in so many goes on at each rung, to so many times the "
            "samples.",
            show_default="3",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    rungs: Annotated[
        int | None,
        typer.Option(
            help="With --stop-early: how often a training is looked at on the way (2: after a "
            "ninth and a third of the samples).",
            show_default="2",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    warm_start: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN",
            help="Start with what an earlier run in the same space found, on another device or "
            "data set too; may be repeated.",
            rich_help_panel=SEARCHING,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Fixes the search.", show_default="0", rich_help_panel=SEARCHING),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", help="Folder to make for the run.", show_default="runs/<date>"),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Input size that is timed, in pixels.",
            show_default="the space's",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    train_size: Annotated[
        int | None,
        typer.Option(
            help="Input size that is trained, in pixels.",
            show_default="--size",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    classes: Annotated[
        int | None,
        typer.Option(
            help="Classes of the network's head.",
            show_default="the data set's",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            help="Training images or clips a network sees.",
            show_default="the data set's",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    train_command: Annotated[
        Text,
        typer.Option(
            help="Your own training instead of ours, e.g. 'python train.py --arch {arch} "
            "--out {result}'; the result is JSON with 'accuracy'. It may also be told {seed}, "
            "{samples}, {size}, {batch}, {learning_rate} and, to stop early, {rungs}.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="CPU threads of the timed network.", show_default="1", rich_help_panel=TIMING
        ),
    ] = None,
    precision: Annotated[
        Text,
        typer.Option(
            help="Of the timed file: fp32, fp16, or int8 (stand-in scales, as fast as real ones).",
            show_default="fp32",
            rich_help_panel=TIMING,
        ),
    ] = None,
    preset: Annotated[
        Text,
        typer.Option(
            help="How hard each candidate is timed: quick, search or final.",
            show_default="search",
            rich_help_panel=TIMING,
        ),
    ] = None,
    final_preset: Annotated[
        Text,
        typer.Option(
            help="How hard the front is timed at the end: quick, search or final.",
            show_default="final",
            rich_help_panel=TIMING,
        ),
    ] = None,
    skip_above: Annotated[
        float | None,
        typer.Option(
            help="Don't train networks slower than this many times the target.",
            show_default="train all",
            rich_help_panel=TIMING,
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            help="Candidates in flight at once.", show_default="4", rich_help_panel=SEARCHING
        ),
    ] = None,
    mode: Annotated[
        Text,
        typer.Option(
            help="ordered: reproducible; asynchronous: told as they finish.",
            show_default="ordered",
            rich_help_panel=SEARCHING,
        ),
    ] = None,
    exporter: Annotated[
        Text,
        typer.Option(
            help="tflite, or package.module:NAME.", show_default="tflite", rich_help_panel=TIMING
        ),
    ] = None,
    database: Annotated[
        Text,
        typer.Option(help="SQLAlchemy URL of a shared database.", show_default="RUN/study.db"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    r"""Search for networks that are accurate within a latency, with the device in the loop.

    Every candidate is trained a little and timed; at the end the best ones are timed again, shown
    with predicted beside measured, and the best is exported into the run's folder.

    Examples:
      pocketnas search --dataset digits --latency host --target-ms 0.5 --trials 24
      pocketnas search --latency adb:any --dataset fashion-mnist --target-ms 2 --trials 200
      pocketnas search --space proxyless --latency table:pixel1 --target-ms 75 \
        --dataset analytic-standin --trials 500
      pocketnas search --dataset fashion-mnist --fleet old=adb:SERIAL@20 --fleet new=adb:OTHER@8
      pocketnas search --space spinenet --dataset generated-fashion-scenes --target-ms 5 \
        --trials 60 --phase graph=40 --phase adjustments
      pocketnas search --space efficientnet --reward macs --target-macs 4e8 \
        --dataset analytic-standin --preset quick
    """
    from pocketnas.cli.show import print_run
    from pocketnas.config import SearchConfig, options_from
    from pocketnas.fleet import entries_from
    from pocketnas.progress import Words, show_progress
    from pocketnas.runs import new_folder, start

    settings = SearchConfig.load(
        config,
        {
            "target_ms": target_ms,
            "target_macs": target_macs,
            "latency": latency,
            "final_on": final_on,
            "fleet": entries_from(fleet, "--fleet") if fleet else None,
            "fleet_rule": fleet_rule,
            "dataset": dataset,
            "space": space,
            "space_options": options_from(space_option or [], "--space-option"),
            "algorithm": algorithm,
            "algorithm_options": options_from(algorithm_option or [], "--algorithm-option"),
            "reward": reward,
            "trials": trials,
            "objectives": objective or None,
            "constraints": constraint or None,
            "phases": phase or None,
            "confirm": confirm,
            "stop_early": stop_early,
            "reduction": reduction,
            "rungs": rungs,
            "warm_start": warm_start or None,
            "seed": seed,
            "size": size,
            "train_size": train_size,
            "classes": classes,
            "samples": samples,
            "train_command": train_command,
            "threads": threads,
            "preset": preset,
            "final_preset": final_preset,
            "skip_above": skip_above,
            "window": window,
            "mode": mode,
            "exporter": exporter,
            "precision": precision,
            "database": database,
        },
    )
    folder = run or new_folder(Path("runs"))
    showing = show_progress(settings.trials, quiet=as_json, words=Words.of(settings))
    with tell_how_to_resume(folder), showing as observer:
        start(folder, settings, observer)
    print_run(folder, as_json=as_json)


@contextmanager
def tell_how_to_resume(folder: Path) -> Iterator[None]:
    """Say how to go on, where Ctrl-C or a failure cuts a run off."""
    from workspace.errors import OperationError

    try:
        yield
    except (KeyboardInterrupt, OperationError):
        if (folder / "config.toml").is_file():
            typer.echo(f"cut off; go on with: pocketnas resume {folder}", err=True)
        raise
