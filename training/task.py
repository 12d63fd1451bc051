"""What a network learns: data, loss, metric; and the one place that names every task."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from search_space.architecture import Head
from training.schedule import Schedule
from workspace import plugin
from workspace.errors import InputError

if TYPE_CHECKING:  # torch takes seconds to import; a type does not need it
    from torch import Generator, Tensor


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
    be asked for next, so that it can begin to read them. That changes no batch.
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
    they go into bundles.

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

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float) -> Tensor:
        """A number to minimise, the mean over the batch.

        Args:
            outputs: Of the network.
            targets: As ``Examples.batch`` gives them; for a classifier, whose images may have
                been mixed, the share of each class too, `[N, classes]` float32.
            label_smoothing: Share of the target spread over all classes.
        """
        ...

    def metric(self, outputs: Tensor, targets: Tensor) -> float:
        """In `[0, 1]`, larger is better, over the whole split."""
        ...


FOLDER = "folder:"
"""How the name of a task out of a folder of images begins; its path follows."""


class TaskName(StrEnum):
    """Tasks that ship with the project, as the command line names them."""

    DIGITS = "digits"
    FASHION_MNIST = "fashion-mnist"
    FASHION_SCENE_CLASSES = "generated-fashion-scene-classes"
    CIFAR10 = "cifar10"


FORMS = (
    f"{', '.join(TaskName)}, {FOLDER}PATH (images, a folder a class), and package.module:NAME for "
    "one of yours"
)
"""Of a data set as text."""


def full_name(name: str) -> str:
    """What a task is called from any folder: the path of one of images is whole.

    >>> full_name("digits"), full_name("folder:/data/../photos")
    ('digits', 'folder:/photos')
    """
    if not name.startswith(FOLDER):
        return name
    return f"{FOLDER}{Path(name.removeprefix(FOLDER)).expanduser().resolve()}"


def create(name: str) -> Task:
    """The task called ``name``, of images at ``folder:PATH``, or the user's own.

    That is ``package.module:NAME``, where NAME is a ``Task``, or a callable without arguments that
    returns one.

    Raises:
        InputError: If there is no such task, or the folder is no data set.
        OperationError: If what it needs is not installed.
    """
    if name.startswith(FOLDER):
        from training.image_folder import open_image_folder

        return open_image_folder(full_name(name))
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
    parts = ("name", "head", "channels", "proxy", "examples", "loss", "metric")
    missing = [part for part in parts if not hasattr(made, part)]
    if missing:
        msg = f"{reference!r} is no task: it lacks {', '.join(missing)}"
        raise InputError(msg)
    return cast("Task", made)
