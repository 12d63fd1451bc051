"""Bytes that take a while to make, kept on disk so that they are made once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING

from workspace.files import write_whole
from workspace.home import home

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def kept(
    folder: str, name: str, shape: tuple[int, ...], make: Callable[[], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """What ``make`` makes, read where it was made before; what is no such file is made anew.

    Args:
        folder: Among the data sets of ``POCKETNAS_HOME``.
        name: Of the file.
        shape: Of the array.
        make: Makes it.
    """
    import numpy as np

    path = home() / "datasets" / folder / name
    try:
        found: NDArray[np.uint8] = np.load(path, allow_pickle=False)
        if found.shape == shape and found.dtype == np.uint8:
            return found
    except (OSError, ValueError, EOFError):
        pass
    made = make()
    with suppress(OSError):  # on a full disk they are made again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        file = BytesIO()
        np.save(file, made, allow_pickle=False)
        write_whole(path, file.getvalue())
    return made
