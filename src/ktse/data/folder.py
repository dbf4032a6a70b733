"""A folder of one's own images, with tags from a file, from folders or from file names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktse.data.classes import BACKGROUND_NAMES, Classes
from ktse.data.faults import located
from ktse.data.file_dataset import FileDataset
from ktse.data.image_ids import TWO_OF_ONE_ID, image_id, path_below, share, spelling_of_files
from ktse.data.image_io import MAX_PIXELS, read_mask
from ktse.data.tag_files import TaggedImage
from ktse.data.tag_names import classes_of_digits
from ktse.data.tag_sources import IMAGES, MASKS, TagSource, find_source, list_splits, read_source, tag_files
from ktse.errors import DataError

__all__ = ["Folder", "list_splits", "read_classes", "tag_files"]

_NAMED_IN_ERRORS = 3  # examples that an error lists of many faults of one kind


class Folder(FileDataset):
    """One split of a folder of images.

    Tags from a file:

        root/images/**      the images, in folders as you like; or anywhere else below the root
        root/train.csv      image,tags: path below images/ or the root, then class names separated by ; | or ,
        root/val.csv        the same for images to validate on; any other split likewise

    In place of a CSV file there may be `.json` or `.jsonl` (`{"image": path, "tags": [name]}`, or `{path: [name]}`),
    an export of COCO or Label Studio (`.json`), or one of CVAT (`.xml`). Where no split has a file, tags are in

        root/train/CLASS/** folders of classes, and `background` for images of none; or
        root/train/**       names like `street [0110].png`, a digit for each class

    and `root/images/` or the root itself stands for `root/train/` where no split has a folder. Besides, there may be

        root/classes.txt    one class a line, in the order of the labels; else all tags of all splits, sorted
        root/masks/ID.png   label maps for scoring; ID is the path of the image without ending, below images/ where
                            it lies there, else below the root

    An image without tags is background only. Masks need `classes.txt`, unless tags are digits: without it their labels
    have no names.

    Args:
        root: The folder.
        split: Name of a file of tags without its ending, or of a folder of images.
        max_pixels: Largest image that is read.

    Raises:
        DataError: A file is missing or damaged, a tag unknown, an image missing or listed twice; each is named.
    """

    def __init__(self, root: Path | str, split: str = "train", *, max_pixels: int = MAX_PIXELS) -> None:
        self._root = Path(root)
        self._max_pixels = max_pixels
        source = find_source(self._root, split)
        classes = read_classes(self._root)
        rows = read_source(source, classes)
        self._files = _find_files(self._root, source, rows)
        ids = [image_id(str(_below_images(file))) for file in self._files]
        _check_unique(ids, rows, source.place)
        super().__init__(
            name=self._root.resolve().name,
            split=split,
            classes=classes,
            ids=ids,
            tags=_tags(rows, classes, source.place),
            has_masks=any(self._mask_path(id_).is_file() for id_ in ids),
        )

    def file(self, index: int) -> Path:
        """Return the file of image `index`."""
        return self._root / self._files[index]

    def mask(self, index: int) -> NDArray[np.integer[Any]] | None:
        """Read the label map of image `index`: (H, W), None where there is none."""
        path = self._mask_path(self.ids[index])
        return read_mask(path, self.classes, max_pixels=self._max_pixels) if path.is_file() else None

    def _mask_path(self, id_: str) -> Path:
        return self._root / MASKS / f"{id_}.png"


def read_classes(root: Path) -> Classes:
    """Return the classes of a folder: those of `classes.txt`, else class1 .. classK of file names, else all tags.

    Raises:
        DataError: No class is to be had, or masks are there without `classes.txt`.
    """
    listed = root / "classes.txt"
    if listed.is_file():
        try:
            lines = listed.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise DataError(f"'{listed}' is not UTF-8.", remedy="Save it in UTF-8.") from None
        except OSError as error:
            raise DataError(f"'{listed}' cannot be read: {error}.", remedy="Make it readable.") from None
        return _classes_of(listed, [line.strip() for line in lines if line.strip()])
    sources = [find_source(root, split) for split in list_splits(root)]
    if sources[0].kind == "names":
        return classes_of_digits(sources[0].images)
    if (root / MASKS).is_dir():
        raise DataError(
            f"'{root}' has masks but no classes.txt: their labels have no names.",
            remedy="Write classes.txt with one class a line, label 1 first.",
        )
    names: set[str] = set()
    for source in sources:
        for row in read_source(source, None):
            names.update(row.tags)
            if any(tag.lower() in BACKGROUND_NAMES for tag in row.tags):
                raise DataError(
                    f"'{source.place}', {row.place}: background is no tag.",
                    remedy="Leave it out: an image without tags shows background only.",
                )
    if not names:
        places = " and ".join(f"'{source.place}'" for source in sources)
        raise DataError(
            f"{places}: no image has a tag, and a data set needs at least one class.",
            remedy="Tag the images, or list the classes in classes.txt, one a line.",
        )
    return Classes(tuple(sorted(names)))


def _classes_of(place: Path, names: Sequence[str]) -> Classes:
    """Return the classes that a file lists; an error about them names the file."""
    try:
        return Classes(tuple(names))
    except DataError as error:
        raise located(f"'{place}'", error) from None


def _find_files(root: Path, source: TagSource, rows: Sequence[TaggedImage]) -> list[PurePosixPath]:
    """Return the files of the images below the root.

    Raises:
        DataError: A path leads out of the root, or there is no file at it.
    """
    if source.kind != "file":
        place = PurePosixPath(source.place.relative_to(root).as_posix())
        return [place / row.image for row in rows]
    files: list[PurePosixPath] = []
    missing: list[str] = []
    for row in rows:
        try:
            file = _find_file(root, row)
        except DataError as error:
            raise located(f"'{source.place}', {row.place}", error) from None
        if file is None:
            missing.append(row.image)
        else:
            files.append(file)
    if missing:
        examples = ", ".join(f"'{name}'" for name in missing[:_NAMED_IN_ERRORS])
        folder = root / IMAGES if (root / IMAGES).is_dir() else root
        raise DataError(
            f"'{source.place}' lists {len(missing)} image(s) that are not in '{folder}': {examples}"
            f"{' …' if len(missing) > _NAMED_IN_ERRORS else ''}.",
            remedy="Give paths below images/ or the root, with their ending.",
        )
    return files


def _find_file(root: Path, row: TaggedImage) -> PurePosixPath | None:
    """Return the first file at the paths of an image, each looked for in `images/` and in the root."""
    for name in (row.image, *row.elsewhere):
        path = path_below(name)
        if PureWindowsPath(name).drive:
            raise DataError(f"image path '{name}' leads out of the data set.", remedy="Give paths below the root.")
        for written in dict.fromkeys([path, PurePosixPath(*PureWindowsPath(name).parts)]):
            path = path_below(str(written))  # with the \ of Windows, .. may show up only now
            for candidate in (IMAGES / path, path):
                if _is_file(root / candidate):
                    return candidate
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def _below_images(file: PurePosixPath) -> PurePosixPath:
    return file.relative_to(IMAGES) if file.is_relative_to(IMAGES) else file


def _check_unique(ids: Sequence[str], rows: Sequence[TaggedImage], place: Path) -> None:
    first: dict[str, tuple[str, TaggedImage]] = {}
    for id_, row in zip(ids, rows, strict=True):
        other_id, other = first.setdefault(spelling_of_files(id_), (id_, row))
        if other is not row:
            images = f"'{other.image}' ({other.place}) and '{row.image}' ({row.place})"
            raise DataError(f"'{place}': {images} {share(other_id, id_)}.", remedy=TWO_OF_ONE_ID)


def _tags(rows: Sequence[TaggedImage], classes: Classes, place: Path) -> NDArray[np.bool_]:
    tags = np.zeros((len(rows), classes.count), dtype=np.bool_)
    for index, row in enumerate(rows):
        for name in row.tags:
            try:
                tags[index, classes.index(name)] = True
            except DataError as error:
                raise located(f"'{place}', {row.place}", error) from None
    return tags
