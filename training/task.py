"""What a network learns: data, loss, metric; and the one place that names every task."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast, runtime_checkable

from search_space.architecture import Detector, Head, InputSpec
from training.clip_settings import ClipSettings
from training.schedule import Schedule
from workspace import plugin
from workspace.errors import InputError

if TYPE_CHECKING:  # torch takes seconds to import; a type does not need it
    from collections.abc import Mapping

    from torch import Generator, Tensor

Outputs: TypeAlias = Any
"""What a network gives: a tensor, or a tuple of them, as each kind of task takes it."""


class Split(StrEnum):
    """Which examples. A search sees the first two only; the last is for what it chose."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """What a search on this task does unless it is told otherwise.

    Attributes:
        size: Input size in pixels.
        schedule: A short training.
        space_options: For spaces that know them: widths and strides that suit the images.
    """

    size: int
    schedule: Schedule
    space_options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What becomes of an image's pixels before a network sees them.

    Attributes:
        channels: 1 for grey, 3 for red, green and blue.
        mean: Subtracted from each channel, pixels being 0 to 1.
        std: By which it is divided then.
        crop: Side of the square in the middle that is taken before anything else, as a share of
            the shorter side, in `(0, 1]`; None for the whole image, whatever its proportions.
    """

    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float | None = None

    def words(self, size: int) -> str:
        """A sentence for people."""
        kind = "grey" if self.channels == 1 else "red, green, blue"
        cut = "" if self.crop is None else f", the middle {self.crop:g} of the shorter side"
        return (
            f"{size} x {size} pixels, {kind}{cut}, resized bilinearly with antialiasing; each "
            f"byte divided by 255, minus {list(self.mean)}, divided by {list(self.std)}"
        )


class Examples(Protocol):
    """One split of a task at one size.

    Where it reads files it may also have ``expect(indices)``: it is told which examples `[N]` will
    be asked for next, so that it can begin to read them. That changes no batch. Where its
    augmentation scales images it may have ``jittered(low, high)``: the same examples, scaled by
    other factors, for schedules that name some. Where they are clips it has ``frames``, how many
    images one example is, so that a batch of a hundred images need not be one of a hundred clips.
    What makes its batches faster it may do in ``prepare()``, which is for a split that will be
    gone through again and again; that changes no batch.
    """

    def __len__(self) -> int:
        """How many there are."""
        ...

    def batch(
        self, indices: Tensor, generator: Generator | None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """The network's inputs, each `[N, *shape]` float32, and the targets.

        Args:
            indices: `[N]` int64.
            generator: Draws the augmentation; None for none.
        """
        ...


class Task(Protocol):
    """Data with a loss and a metric.

    A task of images may also have ``labels``, the names of its classes, and ``preprocessing``:
    they go into bundles. One out of files, which may change, may have ``digest``, a text that is
    another one where its examples or their labels are others. One whose metric is neither a
    classifier's accuracy nor a detector's AP has ``metric_name``, e.g. ``"mAP"``. One of images
    with boxes may have ``anchored(base)``, the same with boxes from other anchors, for schedules
    that name some.

    Laws, held by ``training.testing.TaskContract``: the splits share no example and are the same
    in every process; nothing but ``indices`` and ``generator`` decides a batch; the loss of a
    classifier takes labels `[N]` int64 and shares of each class `[N, classes]` float32 alike.
    """

    @property
    def name(self) -> str:
        """As the command line names it."""
        ...

    @property
    def head(self) -> Head:
        """What networks for it end in."""
        ...

    @property
    def channels(self) -> int:
        """Of its images."""
        ...

    @property
    def proxy(self) -> Proxy:
        """What a search does unless it is told otherwise."""
        ...

    def examples(self, split: Split, size: int) -> Examples:
        """A split, its inputs ``size`` pixels a side.

        Raises:
            OperationError: If the data is not there; the text says how to get it.
        """
        ...

    def loss(self, outputs: Outputs, targets: Tensor, *, label_smoothing: float) -> Tensor:
        """A number to minimise, the mean over the batch, or over what is to be found in it.

        Where processes share a batch each takes it of its part, and how much is to be found is
        asked of the whole (``training.distributed.of_whole_batch``).

        Args:
            outputs: Of the network.
            targets: As ``Examples.batch`` gives them; where images were mixed, for a classifier
                the share of each class, `[N, classes]` float32, for a detector the boxes of both,
                `[N, 2 * M, 6]`, the last number how much each counts.
            label_smoothing: Share of the target spread over all classes.
        """
        ...

    def metric(self, outputs: Tensor, targets: Tensor) -> float:
        """In `[0, 1]`, larger is better, over the whole split.

        Args:
            outputs: Of the network; of a task that is ``Predicting`` its predictions.
            targets: As ``Examples.batch`` gives them.
        """
        ...


@runtime_checkable
class Predicting(Protocol):
    """A task whose metric is not of a network's outputs as they are.

    A detector's are too large to be kept for a whole split, those for several clips of a video
    become one. They become predictions batch by batch, and its metric is of those. Law: what
    becomes of an example depends on no other one in its batch.
    """

    def predictions(self, outputs: Outputs, size: int) -> Tensor:
        """What outputs say of each example, `[N, …]` float32.

        Of a detector `[N, D, 6]`, D always the same: left, top, right, bottom in pixels of the
        input, score, class, the best first; the class of what pads is -1. Of a video
        `[N, classes]`: the share, or the probability, of each class.

        Args:
            outputs: Of the network.
            size: Pixels a side of its input.
        """
        ...

    def figures(self, predictions: Tensor, targets: Tensor) -> Mapping[str, float]:
        """What predictions for a whole split are worth, by names of ``Evaluation``'s fields.

        ``accuracy``, the task's metric, is among them.
        """
        ...


FOLDER, COCO = "folder:", "coco:"
"""How the names of tasks out of a folder of images begin, with a folder a class or with boxes in
COCO's format; its path follows."""

VIDEOS, VIDEO_LIST = "videos:", "video-list:"
"""How the names of tasks of videos begin: the path of a folder with a folder a class follows, or
that of a list in a CSV file, or of a folder with one for each split, and how clips are taken of
them (``training.clip_settings``)."""


@runtime_checkable
class Shaped(Protocol):
    """A task that gives networks what they take: clips of as many frames, with flow or without."""

    def seen_by(self, inputs: tuple[InputSpec, ...]) -> Task:
        """The same data as a network with these inputs sees it.

        Raises:
            InputError: If it has no such data, e.g. no clips that are as long.
        """
        ...


def seen_by(task: Task, inputs: tuple[InputSpec, ...]) -> Task:
    """A task as a network sees it: as it is, unless it is ``Shaped``.

    Raises:
        InputError: If it has nothing that such a network takes.
    """
    return task.seen_by(inputs) if isinstance(task, Shaped) else task


def frames_of(examples: Examples) -> int:
    """How many images an example is: 1, but of clips."""
    return int(getattr(examples, "frames", 1))


ACCURACY = "accuracy"
"""Top-1, of classifiers; what a metric is unless it is said otherwise."""

AP = "AP"
"""Average precision over IoU .50 to .95 and classes, of detectors (``average_precision``)."""


MAP = "mAP"
"""Mean over classes of average precision, of videos with several labels (``training.video``)."""


def metric_name(task: Task) -> str:
    """What the metric of a task is called, in `[0, 1]` like all of them: most often accuracy."""
    usual = AP if isinstance(getattr(task, "head", None), Detector) else ACCURACY
    return str(getattr(task, "metric_name", usual))


def is_multi_label(task: Task) -> bool:
    """Whether an example may be of several classes at once; of most tasks it is of one."""
    return bool(getattr(task, "is_multi_label", False))


class TaskName(StrEnum):
    """Tasks that ship with the project, as the command line names them."""

    DIGITS = "digits"
    FASHION_MNIST = "fashion-mnist"
    FASHION_SCENE_CLASSES = "generated-fashion-scene-classes"
    FASHION_SCENES = "generated-fashion-scenes"
    MOVING_FASHION = "generated-moving-fashion"
    CIFAR10 = "cifar10"


FORMS = (
    f"{', '.join(TaskName)}, {FOLDER}PATH (images, a folder a class), {COCO}PATH (images and "
    f"boxes in COCO's format), {VIDEOS}PATH (videos, a folder a class), {VIDEO_LIST}PATH (videos "
    "in a CSV file; after either PATH perhaps ,stride=N,views=N), and package.module:NAME for one "
    "of yours"
)
"""Of a data set as text."""


def full_name(name: str) -> str:
    """What a task is called from any folder: the path of one out of files is whole.

    >>> full_name("digits"), full_name("folder:/data/../photos")
    ('digits', 'folder:/photos')
    >>> full_name("videos:/data/../clips,views=10,stride=2")
    'videos:/clips,views=10'

    Raises:
        InputError: If clips of videos have no such settings.
    """
    for form in (FOLDER, COCO):
        if name.startswith(form):
            return f"{form}{Path(name.removeprefix(form)).expanduser().resolve()}"
    for form in (VIDEOS, VIDEO_LIST):
        if name.startswith(form):
            path, settings = ClipSettings.parse(name.removeprefix(form))
            return f"{form}{path.expanduser().resolve()}{settings}"
    return name


def create(name: str) -> Task:
    """The task called ``name``, of files at ``folder:PATH`` or the like, or the user's own.

    That is ``package.module:NAME``, where NAME is a ``Task``, or a callable without arguments that
    returns one.

    Raises:
        InputError: If there is no such task, or the folder is no data set.
        OperationError: If what it needs is not installed.
    """
    if name.startswith(FOLDER):
        from training.image_folder import open_image_folder

        return open_image_folder(full_name(name))
    if name.startswith(COCO):
        from training.coco import open_coco

        return open_coco(full_name(name))
    if name.startswith((VIDEOS, VIDEO_LIST)):
        from training.video_files import open_videos

        return open_videos(full_name(name))
    if plugin.is_reference(name):
        return _of_the_user(name)
    match name:
        case TaskName.DIGITS:
            from training.digits import Digits

            return Digits()
        case TaskName.FASHION_MNIST:
            from training.fashion_mnist import FashionMnist

            return FashionMnist()
        case TaskName.FASHION_SCENE_CLASSES:
            from training.fashion_scene_classes import FashionSceneClasses

            return FashionSceneClasses()
        case TaskName.FASHION_SCENES:
            from training.fashion_scenes import FashionScenes

            return FashionScenes()
        case TaskName.MOVING_FASHION:
            from training.moving_fashion import MovingFashion

            return MovingFashion()
        case TaskName.CIFAR10:
            from training.cifar10 import Cifar10

            return Cifar10()
    msg = f"unknown dataset {name!r}; there are {FORMS}"
    raise InputError(msg)


def _of_the_user(reference: str) -> Task:
    found = plugin.load(reference, "a task")
    try:
        made = found() if callable(found) else found
    except Exception as error:  # the user's code may raise anything
        msg = f"the task {reference!r} cannot be made: {type(error).__name__}: {error}"
        raise InputError(msg) from error
    parts = ["name", "head", "channels", "proxy", "examples", "loss", "metric"]
    if isinstance(getattr(made, "head", None), Detector):
        parts += ["predictions", "figures"]
    missing = [part for part in parts if not hasattr(made, part)]
    if missing:
        msg = f"{reference!r} is no task: it lacks {', '.join(missing)}"
        raise InputError(msg)
    return cast("Task", made)
