"""``pocketnas train``: one network, all the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketnas.cli.arch import Architectures
from pocketnas.cli.output import AsJson, print_json
from training.task import FORMS

if TYPE_CHECKING:
    from pocketnas.training_plan import TrainingPlan


def train(
    architecture: Architectures,
    *,
    dataset: Annotated[
        str,
        typer.Option(help=f"What it is trained on: {FORMS}."),
    ],
    recipe: Annotated[
        str,
        typer.Option(
            help="Where settings come from that are not given: proxy (the data set's own, as in a "
            "search); as published: efficientnet, efficientnetv2, and for boxes spinenet-a, "
            "spinenet-b, spinenet-c, spinenet-mobile."
        ),
    ] = "proxy",
    progressive: Annotated[
        str | None,
        typer.Option(
            metavar="paper|code|FILE",
            help="Stages of growing images and regularization: EfficientNetV2's by its paper or "
            "its code, without what the data set has no meaning for, or of a TOML file.",
            show_default="one stage",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Input size of evaluation and export, in pixels; published stages are in "
            "proportion to it.",
            min=1,
            show_default="its own",
        ),
    ] = None,
    train_size: Annotated[
        int | None,
        typer.Option(
            help="Input size of the training, in the end, in pixels.",
            min=1,
            show_default="--size, or the published share of it",
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(help="Training images or clips it sees.", min=1, show_default="the recipe's"),
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(help="The same in passes over the training split.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Images a step.", min=1, show_default="the recipe's")
    ] = None,
    stage_batch: Annotated[
        str | None,
        typer.Option(
            help="Of stages that name none: constant, or memory (more of smaller images).",
            show_default="constant",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Its peak.", show_default="the recipe's, in proportion to --batch"),
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="adamw, rmsprop-tf or sgd.", show_default="the recipe's")
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="Of weights.", show_default="the recipe's")
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(
            help="Decay of the average of the weights that is kept; 0 for none.",
            show_default="the recipe's",
        ),
    ] = None,
    decay: Annotated[
        str | None,
        typer.Option(
            help="Of the learning rate: cosine, staircase, or drops (to a tenth, at the shares of "
            "the training that the recipe names).",
            show_default="the recipe's",
        ),
    ] = None,
    decay_epochs: Annotated[
        float | None, typer.Option(help="Epochs a stair.", show_default="2.4")
    ] = None,
    warmup: Annotated[
        float | None,
        typer.Option(
            help="Share of the training in which the rate rises.", show_default="the recipe's"
        ),
    ] = None,
    label_smoothing: Annotated[
        float | None, typer.Option(help="Share of all classes.", show_default="the recipe's")
    ] = None,
    clip: Annotated[
        float | None,
        typer.Option(help="Largest norm of gradients; 0 for any.", show_default="the recipe's"),
    ] = None,
    anchor: Annotated[
        float | None,
        typer.Option(
            help="Side of a detector's smallest square anchor on each level, in cells of it; as "
            "published 3, above SpineNet-96 4.",
            show_default="the data set's",
        ),
    ] = None,
    stochastic_depth: Annotated[
        float | None,
        typer.Option(
            help="Of the network: layers are left out with a chance that rises to this; as "
            "published 0.2 for spinenet-c.",
            show_default="its own",
        ),
    ] = None,
    activation: Annotated[
        str | None,
        typer.Option(
            help="Of the network: relu, relu6 or swish; as published relu for spinenet-a and "
            "spinenet-b.",
            show_default="its own",
        ),
    ] = None,
    arithmetic: Annotated[
        str | None,
        typer.Option(help="fp32, bf16, or fp16 (on a GPU).", show_default="fp32"),
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Let torch.compile make it faster first.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of order, augmentation and dropout.")] = 0,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads.", min=1, show_default="as many as cores")
    ] = None,
    evaluate_epochs: Annotated[
        float, typer.Option(help="Epochs between evaluations on the way; 0 for none.")
    ] = 1.0,
    checkpoint_s: Annotated[float, typer.Option(help="Seconds between checkpoints.")] = 60.0,
    processes: Annotated[
        int,
        typer.Option(
            help="On this machine, that share each batch: one for each GPU. torchrun may start "
            "them too, on several machines with a common folder, named by -o.",
            min=1,
        ),
    ] = 1,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", "--output", "-o", help="Folder to make.", show_default="trainings/<date>"
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training in --run, if it is this one.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write for TensorBoard, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    r"""Train a network to the end, and evaluate it on the validation and the test split.

    The folder has the plan, checkpoints, a log as JSON lines, the trained weights and the result;
    ARCH of other commands may be that folder, so the network can be exported and timed.

    Examples:
      pocketnas train runs/first:best --dataset fashion-mnist --epochs 30 -o trainings/first
      pocketnas train efficientnetv2-b0 --dataset cifar10 --recipe efficientnetv2 --epochs 90 \
        --batch 256 --progressive code
      pocketnas train spinenet-143 --dataset coco:coco2017 --recipe spinenet-c --anchor 4 \
        --stochastic-depth 0.2
    """
    from pocketnas.runs import new_folder
    from pocketnas.training_asked import Asked, plan_of
    from training.recipes import Length
    from workspace.errors import InputError

    if resume and run is None:
        msg = "--resume goes on with the training in --run, which is missing"
        raise InputError(msg)
    plan = plan_of(
        Asked(
            architecture=architecture,
            dataset=dataset,
            recipe=recipe,
            progressive=progressive or "",
            size=size,
            train_size=train_size,
            length=Length(samples=samples, epochs=epochs, batch=batch),
            settings={
                "learning_rate": learning_rate,
                "weight_decay": weight_decay,
                "ema": ema,
                "decay_epochs": decay_epochs,
                "warmup": warmup,
                "label_smoothing": label_smoothing,
                "clip": clip,
                "anchor": anchor,
                "compiled": compiled or None,
                "optimizer": optimizer,
                "decay": decay,
                "arithmetic": arithmetic,
                "stage_batch": stage_batch,
            },
            evaluate_epochs=evaluate_epochs,
            seed=seed,
            threads=threads,
            processes=processes,
            checkpoint_s=checkpoint_s,
            board=tensorboard,
            activation=activation or "",
            stochastic_depth=stochastic_depth,
        )
    )
    for note in plan.notes:
        typer.echo(note, err=True)
    carry_out(
        run or new_folder(Path("trainings")),
        plan,
        resume=resume,
        processes=processes,
        as_json=as_json,
    )


def carry_out(
    folder: Path,
    plan: TrainingPlan | None,
    *,
    resume: bool = False,
    processes: int = 1,
    as_json: bool = False,
) -> None:
    """Train in ``folder``, and print what came of it.

    Args:
        folder: Of the training.
        plan: Of it; None for the one that is there.
        resume: Whether it is there already.
        processes: That share each batch; those that ``torchrun`` has started count as one here.
        as_json: Print JSON.
    """
    from pocketnas.training_processes import is_first, share
    from pocketnas.training_progress import show_training
    from pocketnas.training_runs import go_on, start

    with _tell_how_to_go_on(folder):
        if processes > 1:
            share(folder, plan, processes, resume=resume, quiet=as_json)
        else:
            with show_training(quiet=as_json or not is_first()) as shown:
                if plan is None or resume:
                    go_on(folder, shown, asked=plan)
                else:
                    folder = start(folder, plan, shown)
    if is_first():
        print_training(folder, as_json=as_json)


@contextmanager
def _tell_how_to_go_on(folder: Path) -> Iterator[None]:
    """Say how to go on, where Ctrl-C or a failure cuts a training off."""
    from pocketnas.training_plan import is_training
    from workspace.errors import OperationError

    try:
        yield
    except (KeyboardInterrupt, OperationError):
        if is_training(folder):
            typer.echo(f"cut off; go on with: pocketnas resume {folder}", err=True)
        raise


def print_training(folder: Path, *, as_json: bool) -> None:
    """Print what a training gave, or how far it is."""
    from pocketnas.examples import examples_of
    from pocketnas.training_plan import WEIGHTS, read_plan, read_result
    from pocketnas.training_runs import seen_until_now
    from training.metric_name import metric_of

    result, plan = read_result(folder), read_plan(folder)
    if result is None:
        seen = seen_until_now(folder)
        samples = plan.schedule.samples
        if as_json:
            facts = {"folder": str(folder), "finished": False, "seen": seen, **plan.to_json()}
            print_json(facts)
            return
        many = examples_of(plan.architecture).many
        typer.echo(f"{folder}: {plan.name} on {plan.dataset}, {seen:,} of {samples:,} {many}")
        typer.echo(f"not finished; if nothing is at work there: pocketnas resume {folder}")
        return
    if as_json:
        weights = str(folder / WEIGHTS)
        print_json({"folder": str(folder), "finished": True, "weights": weights, **result})
        return
    typer.echo(f"{folder}: {result['network']} on {result['dataset']}, {result['size']} pixels")
    metric = metric_of(result["dataset"])
    for evaluation in result["evaluations"].values():
        typer.echo(_in_words(evaluation, metric, examples_of(plan.architecture).many))
    typer.echo(f"Next: pocketnas export {folder} -o exported")


_OF_BOXES = {
    "ap50": "AP50",
    "ap75": "AP75",
    "ap_small": "small",
    "ap_medium": "medium",
    "ap_large": "large",
}
"""Figures of detectors, in words."""


def _in_words(evaluation: dict[str, Any], metric: str, many: str) -> str:
    """One split's line."""
    from training.metric_name import marked

    text = f"{evaluation['split']:10} {marked(metric, evaluation['accuracy'])}"
    known = [(name, words) for name, words in _OF_BOXES.items() if name in evaluation]
    text += "".join(f", {words} {evaluation[name]:.2%}" for name, words in known)
    if "top5" in evaluation:
        text += f", top-5 {evaluation['top5']:.2%}"
    if "calibration_error" in evaluation:
        text += f", calibration error {evaluation['calibration_error']:.4f}"
    return f"{text}, loss {evaluation['loss']:.4f}, of {evaluation['examples']:,} {many}"
