"""Label maps that were painted once, kept as PNGs in a folder of the user's choice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ktse.data.classes import Classes
from ktse.data.image_io import read_mask, write_label_map
from ktse.errors import DataError

PAINTING_VERSION: Final = 1
"""Rises whenever the same outlines are painted otherwise."""


def cache_folder(cache: Path, annotations: Path) -> Path:
    """Return the folder for label maps of these annotations: another content of the file is another folder.

    Args:
        cache: Folder for all caches.
        annotations: `instances_*.json`.

    Raises:
        DataError: The annotations cannot be read.
    """
    try:
        with annotations.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"annotations '{annotations}' cannot be read: {error.strerror}.") from None
    return cache / f"{annotations.stem}-v{PAINTING_VERSION}-{digest[:16]}"


def cached_mask(
    path: Path, size: tuple[int, int], classes: Classes, paint: Callable[[], NDArray[np.integer[Any]]]
) -> NDArray[np.integer[Any]]:
    """Return a label map from its file; where there is none, or none that can be right, paint it and write the file.

    Args:
        path: The file, `.png`.
        size: (H, W) that it must have.
        classes: Classes that its labels must be of.
        paint: Makes the (H, W) label map.

    Returns:
        (H, W) label map.

    Raises:
        DataError: It cannot be painted.
        InputError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path, cat = Path(folder, "a.png"), Classes(("cat",))
        ...     first = cached_mask(path, (1, 2), cat, lambda: np.array([[0, 1]]))
        ...     cached_mask(path, (1, 2), cat, lambda: np.array([[1, 1]])).tolist()
        [[0, 1]]
    """
    try:
        kept = read_mask(path, classes)
        if kept.shape == size:
            return kept
    except DataError:
        pass  # not there yet, or damaged: painted anew
    mask = paint()
    write_label_map(path, mask)
    return mask
