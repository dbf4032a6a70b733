"""Plain images, without tags or classes: one file, a folder, or a list of paths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ktse.data.image_ids import TWO_OF_ONE_ID, image_id, share, spelling_of_files
from ktse.data.image_io import IMAGE_FORMATS, MAX_PIXELS, read_image
from ktse.errors import DataError

LIST_ENDING: Final = ".txt"
"""Ending of a text file that names one image a line."""


class Images(Protocol):
    """What a prediction asks of a collection of images; every data set offers it too."""

    @property
    def ids(self) -> tuple[str, ...]:
        """N different ids."""

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image `index`: (H, W, 3) uint8, RGB."""


class ImageFiles:
    """Image files, read one at a time.

    Args:
        paths: The files.
        ids: Their ids.
        max_pixels: Largest image that is read.

    Raises:
        DataError: There are none, or two share an id; they are named.
    """

    def __init__(self, paths: Sequence[Path], ids: Sequence[str], *, max_pixels: int = MAX_PIXELS) -> None:
        if not paths:
            raise DataError("there are no images.", remedy="Give a file, a folder or a list of images.")
        first: dict[str, tuple[str, Path]] = {}
        for id_, path in zip(ids, paths, strict=True):
            other_id, other = first.setdefault(spelling_of_files(id_), (id_, path))
            if other is not path:
                raise DataError(
                    f"'{other}' and '{path}' {share(other_id, id_)}, so that one prediction would replace the other.",
                    remedy=TWO_OF_ONE_ID,
                )
        self.paths = tuple(paths)
        self.ids = tuple(ids)
        self._max_pixels = max_pixels

    def __len__(self) -> int:
        return len(self.paths)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image `index`.

        Returns:
            (H, W, 3) uint8, RGB.

        Raises:
            DataError: The image cannot be read; it is named.
        """
        return read_image(self.paths[index], max_pixels=self._max_pixels)


def list_images(source: Path, *, leave_out: Path | None = None, max_pixels: int = MAX_PIXELS) -> ImageFiles:
    """List images without opening them.

    Ids are what predictions are named after. In a folder: the path below it, without ending; folders in it are
    searched too, hidden ones and hidden files are not. In a list: the path as it is written, taken from the folder of
    the list; of a path that is absolute or leads out of that folder, the name of the file. For one file: its name.

    Args:
        source: An image; a folder; or a text file (`.txt`) with one path a line, where empty lines and what follows #
            at the start of a line are passed over.
        leave_out: A folder whose files are not listed: that of the predictions, which are images too.
        max_pixels: Largest image that is read later.

    Raises:
        DataError: There is nothing at `source`, it has no images, or two of them share an id.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (Path(folder) / "garden").mkdir()
        ...     for name in ("garden/cat.JPG", "dog.png", "notes.md"):
        ...         _ = (Path(folder) / name).write_bytes(b"")
        ...     list_images(Path(folder)).ids
        ('dog', 'garden/cat')
    """
    if source.is_dir():
        found = list(_images_below(source, leave_out))
        if not found:
            others = f" beside those in {leave_out}" if leave_out and leave_out.is_dir() else ""
            raise DataError(
                f"there are no images in '{source}'{others}.",
                remedy=f"Files are found by their endings: {', '.join(sorted(image_endings()))}.",
            )
        return ImageFiles(found, [image_id(_below(path, source)) for path in found], max_pixels=max_pixels)
    if not source.is_file():
        raise DataError(f"there is no image, folder or list '{source}'.", remedy="Check the path.")
    if source.suffix.lower() == LIST_ENDING:
        names = _listed(source)
        paths = [source.parent / name for name in names]
        return ImageFiles(paths, [_listed_id(name) for name in names], max_pixels=max_pixels)
    return ImageFiles([source], [image_id(source.name)], max_pixels=max_pixels)


@cache
def image_endings() -> frozenset[str]:
    """Return the endings of files that are taken for images, in lower case with their dots."""
    known = Image.registered_extensions().items()
    return frozenset(ending for ending, name in known if name in IMAGE_FORMATS)


def _images_below(folder: Path, leave_out: Path | None) -> Iterator[Path]:
    """Yield the images of a folder in the order of their paths."""
    left_out = leave_out.resolve() if leave_out else None
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or path.suffix.lower() not in image_endings() or not path.is_file():
            continue
        if left_out is None or not path.resolve().is_relative_to(left_out):
            yield path


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _listed(source: Path) -> list[str]:
    """Return the paths that a list names; a list of which no file exists is no list."""
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"list '{source}' is not UTF-8.", remedy="Save it in UTF-8.") from None
    names = [name for line in lines if (name := line.strip()) and not name.startswith("#")]
    if not names:
        raise DataError(f"list '{source}' names no image.", remedy="Write one path a line.")
    if not any((source.parent / name).is_file() for name in names):
        raise DataError(
            f"of the {len(names)} files that list '{source}' names none is there, '{source.parent / names[0]}' first.",
            remedy="Write one path a line, from the folder of the list or from the root.",
        )
    return names


def _listed_id(name: str) -> str:
    path = Path(name)
    leads_out = path.is_absolute() or ".." in path.parts
    return image_id(path.name if leads_out else path.as_posix())
