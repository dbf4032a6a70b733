"""A folder of one's own images with tags in CSV files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktse.data.classes import Classes
from ktse.data.dataset import Dataset
from ktse.data.faults import located
from ktse.data.image_ids import image_id, path_below
from ktse.data.image_io import MAX_PIXELS, read_image, read_mask
from ktse.data.tag_tables import TaggedImage, has_tag_columns, read_csv_tags
from ktse.errors import DataError, near_matches

_NAMED_IN_ERRORS = 3  # examples that an error lists of many faults of one kind


class Folder(Dataset):
    """One split of a folder of images.

        root/images/**      the images, in folders as you like
        root/train.csv      image,tags: path below images/, then class names separated by ; | or ,
        root/val.csv        the same for images to validate on; any other split likewise
        root/classes.txt    optional: one class a line, in the order of the labels; else all tags of all splits, sorted
        root/masks/ID.png   optional: label maps for scoring; ID is the image's path without ending

    An image without tags is background only. Masks need `classes.txt`: without it their labels have no names.

    Args:
        root: The folder.
        split: Name of a CSV file without its ending.
        max_pixels: Largest image that is read.

    Raises:
        DataError: A file is missing or damaged, a tag unknown, an image missing or listed twice; each is named.
    """

    def __init__(self, root: Path | str, split: str = "train", *, max_pixels: int = MAX_PIXELS) -> None:
        self._root = Path(root)
        self._max_pixels = max_pixels
        table = _find_table(self._root, split)
        rows = read_csv_tags(table)
        self._files = [_path_of(row, table) for row in rows]
        ids = [image_id(str(file)) for file in self._files]
        _check_unique(ids, rows, table)
        _check_present(self._root / "images", self._files, table)
        classes = read_classes(self._root)
        super().__init__(
            name=self._root.resolve().name,
            split=split,
            classes=classes,
            ids=ids,
            tags=_tags(rows, classes, table),
            has_masks=any(self._mask_path(id_).is_file() for id_ in ids),
        )

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image `index`: (H, W, 3) uint8, RGB."""
        return read_image(self._root / "images" / self._files[index], max_pixels=self._max_pixels)

    def mask(self, index: int) -> NDArray[np.integer[Any]] | None:
        """Read the label map of image `index`: (H, W), None where there is none."""
        path = self._mask_path(self.ids[index])
        return read_mask(path, self.classes, max_pixels=self._max_pixels) if path.is_file() else None

    def _mask_path(self, id_: str) -> Path:
        return self._root / "masks" / f"{id_}.png"


def list_splits(root: Path) -> list[str]:
    """Return the splits of a folder: the names of its CSV files with tags."""
    return sorted(path.stem for path in root.glob("*.csv") if has_tag_columns(path))


def read_classes(root: Path) -> Classes:
    """Return the classes of a folder: those of `classes.txt`, else the tags of all its splits, sorted.

    Raises:
        DataError: No class is to be had, or masks are there without `classes.txt`.
    """
    listed = root / "classes.txt"
    if listed.is_file():
        try:
            lines = listed.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"'{listed}' cannot be read: {error}.", remedy="Save it in UTF-8.") from None
        return Classes(tuple(line.strip() for line in lines if line.strip()))
    if (root / "masks").is_dir():
        raise DataError(
            f"'{root}' has masks but no classes.txt: their labels have no names.",
            remedy="Write classes.txt with one class a line, label 1 first.",
        )
    tables = (read_csv_tags(root / f"{split}.csv") for split in list_splits(root))
    return Classes(tuple(sorted({tag for rows in tables for row in rows for tag in row.tags})))


def _find_table(root: Path, split: str) -> Path:
    if not root.is_dir():
        raise DataError(f"there is no folder '{root}'.", remedy="Give the folder that holds images/ and train.csv.")
    if not (root / "images").is_dir():
        raise DataError(f"'{root}' has no folder images/.", remedy="Move the images into it.")
    table = root / f"{split}.csv"
    if not table.is_file():
        known = [path.stem for path in root.glob("*.csv")]
        remedy = near_matches(split, known) if known else f"Write {table.name} with the header image,tags."
        raise DataError(f"there is no '{table}' for split '{split}'.", remedy=remedy)
    return table


def _path_of(row: TaggedImage, table: Path) -> Path:
    try:
        return Path(path_below(row.image))
    except DataError as error:
        raise located(f"'{table}', line {row.line}", error) from None


def _check_unique(ids: Sequence[str], rows: Sequence[TaggedImage], table: Path) -> None:
    first: dict[str, TaggedImage] = {}
    for id_, row in zip(ids, rows, strict=True):
        other = first.setdefault(id_, row)
        if other is not row:
            raise DataError(
                f"'{table}': '{other.image}' (line {other.line}) and '{row.image}' (line {row.line}) "
                f"share the id '{id_}'.",
                remedy="List each image once, and rename one of two that differ in their ending only.",
            )


def _check_present(folder: Path, files: Iterable[Path], table: Path) -> None:
    missing = [str(file) for file in files if not (folder / file).is_file()]
    if missing:
        examples = ", ".join(f"'{name}'" for name in missing[:_NAMED_IN_ERRORS])
        raise DataError(
            f"'{table}' lists {len(missing)} image(s) that are not in '{folder}': {examples}"
            f"{' …' if len(missing) > _NAMED_IN_ERRORS else ''}.",
            remedy="Give paths below images/, with their ending.",
        )


def _tags(rows: Sequence[TaggedImage], classes: Classes, table: Path) -> NDArray[np.bool_]:
    tags = np.zeros((len(rows), classes.count), dtype=np.bool_)
    for index, row in enumerate(rows):
        for name in row.tags:
            try:
                tags[index, classes.index(name)] = True
            except DataError as error:
                raise located(f"'{table}', line {row.line}", error) from None
    return tags
