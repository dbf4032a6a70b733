"""Where the tags of a folder of images are: in a file for each split, in folders of classes, or in file names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from ktse.data.classes import Classes
from ktse.data.faults import located
from ktse.data.image_files import list_images
from ktse.data.tag_cvat import read_cvat_tags
from ktse.data.tag_files import TaggedImage
from ktse.data.tag_folders import folder_tags, in_class_folders
from ktse.data.tag_json import read_json_tags, read_jsonl_tags
from ktse.data.tag_names import has_digits, name_tags
from ktse.data.tag_tables import has_tag_columns, read_csv_tags
from ktse.errors import DataError, near_matches

IMAGES: Final = "images"
MASKS: Final = "masks"
SPLITS: Final = ("train", "val", "test")
"""Names by which a folder of one split is known."""

_READERS: Final = {
    ".csv": read_csv_tags,
    ".json": read_json_tags,
    ".jsonl": read_jsonl_tags,
    ".xml": read_cvat_tags,
}


@dataclass(frozen=True, slots=True)
class TagSource:
    """What says the tags of a split.

    Attributes:
        kind: A file, folders of classes, or file names.
        place: The file, or the folder that holds the images.
        images: Paths below `place`, for tags from folders and names.
    """

    kind: Literal["file", "folders", "names"]
    place: Path
    images: tuple[PurePosixPath, ...] = ()


def find_source(root: Path, split: str) -> TagSource:
    """Find what says the tags of a split.

    `SPLIT.csv`, `.json`, `.jsonl` or `.xml` in the root does, where any split has such a file. Else the folders in
    `SPLIT/`, or the names of the images there, do; where the root has no folder of any split, all images are of
    split train and are looked for in `images/` or the root itself.

    Raises:
        DataError: Nothing does, or more than one thing; all of them are named.
    """
    if not root.is_dir():
        raise DataError(f"there is no folder '{root}'.", remedy="Give the folder that holds the images.")
    files = tag_files(root, split)
    if len(files) > 1:
        names = " and ".join(f"'{path.name}'" for path in files)
        raise DataError(f"'{root}' has {names} for split '{split}'.", remedy="Keep the one that is right.")
    if files:
        return TagSource("file", files[0])
    if known := _file_splits(root):
        raise DataError(
            f"there is no '{root / split}.csv' (or {', '.join(list(_READERS)[1:])}) for split '{split}'.",
            remedy=near_matches(split, known),
        )
    return _source_of_images(root, split)


def read_source(source: TagSource, classes: Classes | None) -> list[TaggedImage]:
    """Read the tags of a split; paths of images from folders and names are below `source.place`.

    Args:
        source: What says them.
        classes: The classes; only file names need them.

    Raises:
        DataError: Something is wrong with them; file and line, or image, are named.
    """
    if source.kind == "file":
        return _READERS[source.place.suffix](source.place)
    try:
        if source.kind == "names" and classes is not None:
            return name_tags(source.images, classes)
        return folder_tags(source.images)
    except DataError as error:
        raise located(f"'{source.place}'", error) from None


def tag_files(root: Path, split: str) -> list[Path]:
    """Return the files in the root that are named as those with the tags of a split."""
    return [path for ending in _READERS if (path := root / f"{split}{ending}").is_file()]


def list_splits(root: Path) -> list[str]:
    """Return the splits of a folder: those that have a file of tags, else a folder of their own, else train.

    Files of other names than train, val and test may be anything; they count when they can be read as tags.
    """
    if known := _file_splits(root):
        return known
    return sorted(split for split in SPLITS if (root / split).is_dir()) or ["train"]


def _file_splits(root: Path) -> list[str]:
    found = (path for ending in _READERS for path in root.glob(f"*{ending}"))
    return sorted({path.stem for path in found if _holds_tags(path)})


def _holds_tags(path: Path) -> bool:
    if path.suffix == ".csv":
        return has_tag_columns(path)
    if path.stem in SPLITS:
        return True
    try:
        return bool(_READERS[path.suffix](path))
    except DataError:
        return False


def _source_of_images(root: Path, split: str) -> TagSource:
    folder = _folder_of(root, split)
    files = list_images(folder, leave_out=root / MASKS).paths
    images = tuple(PurePosixPath(path.relative_to(folder).as_posix()) for path in files)
    by_folder, by_name = in_class_folders(images), any(map(has_digits, images))
    if by_folder and by_name:
        raise DataError(
            f"the images in '{folder}' lie in folders and have digits in their names; either might be their tags.",
            remedy=f"Write {split}.csv with the header image,tags, or rename the files or move them out of folders.",
        )
    if not by_folder and not by_name:
        raise DataError(
            f"nothing says the tags of the images in '{folder}'.",
            remedy=f"Write {split}.csv with the header image,tags, or put the images of each class into a folder.",
        )
    return TagSource("folders" if by_folder else "names", folder, images)


def _folder_of(root: Path, split: str) -> Path:
    """Return the folder in which the images of a split are looked for when no file lists them."""
    if (root / split).is_dir():
        return root / split
    known = [name for name in SPLITS if (root / name).is_dir()]
    if known or split != "train":
        raise DataError(
            f"'{root}' has neither a file of tags nor a folder for split '{split}'.",
            remedy=near_matches(split, known or ["train"]),
        )
    return root / IMAGES if (root / IMAGES).is_dir() else root
