"""COCO: tags and label maps from `instances_*.json` (REFERENCE 6.6)."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktse.data.classes import Classes
from ktse.data.coco_painting import paint
from ktse.data.dataset import Dataset
from ktse.data.faults import located
from ktse.data.image_ids import image_id, path_below
from ktse.data.image_io import MAX_PIXELS, read_image
from ktse.errors import DataError, near_matches

_PREFIX = "instances_"
_YEARS = ("2014", "2017")


class COCO14(Dataset):
    """One split of COCO 2014, or of 2017 or any set of the same layout.

    The tags of an image are the classes of all its annotations, crowds included, since a crowd says that its class is
    there; label maps are painted in the order of the file, crowds left out, later objects over earlier ones. Images
    without annotations belong to the set, untagged. Category ids (1..90 with gaps) become classes in ascending order.

    Args:
        root: Folder with `annotations/instances_SPLIT.json` and the images in `SPLIT/`.
        split: train or val, of the first year found; or the full name, as train2014.
        max_pixels: Largest image that is read.

    Raises:
        DataError: A file is missing or damaged, or of another layout; it is named.
    """

    def __init__(self, root: Path | str, split: str = "train", *, max_pixels: int = MAX_PIXELS) -> None:
        self._max_pixels = max_pixels
        self._annotation_file = _find_annotations(Path(root) / "annotations", split)
        self._image_folder = Path(root) / self._annotation_file.stem.removeprefix(_PREFIX)
        if not self._image_folder.is_dir():
            raise DataError(f"there is no folder '{self._image_folder}'.", remedy="Unpack the images there.")
        content = _read_json(self._annotation_file)
        try:
            categories = sorted((int(category["id"]), str(category["name"])) for category in content["categories"])
            self._class_of = {number: index for index, (number, _) in enumerate(categories)}
            self._numbers = [int(image["id"]) for image in content["images"]]
            self._sizes = [(int(image["height"]), int(image["width"])) for image in content["images"]]
            self._files = [path_below(str(image["file_name"])) for image in content["images"]]
            tags = self._tags(content["annotations"])
        except (KeyError, TypeError, ValueError) as error:
            raise _of_other_layout(self._annotation_file, error) from None
        super().__init__(
            name="COCO",
            split=split,
            classes=Classes(tuple(name for _, name in categories)),
            ids=[image_id(str(file)) for file in self._files],
            tags=tags,
            has_masks=True,
        )

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image `index`: (H, W, 3) uint8, RGB."""
        return read_image(self._image_folder / self._files[index], max_pixels=self._max_pixels)

    def mask(self, index: int) -> NDArray[np.integer[Any]]:
        """Read the label map of image `index`: (H, W), painted from the annotations."""
        height, width = self._sizes[index]
        if height * width > self._max_pixels:
            raise DataError(f"'{self.ids[index]}' has {height} x {width} pixels, at most {self._max_pixels} are read.")
        labels = np.uint8 if self.classes.num_labels <= np.iinfo(np.uint8).max else np.uint16
        try:
            return paint(self._objects[self._numbers[index]], (height, width), dtype=labels)
        except DataError as error:
            raise located(f"'{self._annotation_file}', image '{self.ids[index]}'", error) from None

    def _tags(self, annotations: list[dict[str, Any]]) -> NDArray[np.bool_]:
        row = {number: index for index, number in enumerate(self._numbers)}
        tags = np.zeros((len(row), len(self._class_of)), dtype=np.bool_)
        for annotation in annotations:
            tags[row[annotation["image_id"]], self._class_of[annotation["category_id"]]] = True
        return tags

    @cached_property
    def _objects(self) -> dict[int, list[tuple[int, Any]]]:
        """Label and outline of every object of every image; read when the first mask is asked for, never to train."""
        objects: dict[int, list[tuple[int, Any]]] = defaultdict(list)
        for annotation in _read_json(self._annotation_file)["annotations"]:
            if not annotation.get("iscrowd", 0):
                label = self._class_of[annotation["category_id"]] + 1
                objects[annotation["image_id"]].append((label, annotation.get("segmentation")))
        return objects


def _find_annotations(folder: Path, split: str) -> Path:
    files = {path.stem.removeprefix(_PREFIX): path for path in sorted(folder.glob(f"{_PREFIX}*.json"))}
    if not files:
        raise DataError(
            f"there is no {_PREFIX}*.json in '{folder}'.", remedy="Give the folder that holds COCO's annotations/."
        )
    for name in (split, *(f"{split}{year}" for year in _YEARS)):
        if name in files:
            return files[name]
    raise DataError(f"COCO in '{folder.parent}' has no split '{split}'.", remedy=near_matches(split, files))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"annotations '{path}' cannot be read: {error}.", remedy="Unpack them anew.") from None
    if not isinstance(content, dict):
        raise _of_other_layout(path, TypeError("no object at the top"))
    return content


def _of_other_layout(path: Path, error: Exception) -> DataError:
    return DataError(
        f"'{path}' is not laid out as COCO's instances files ({type(error).__name__}: {error}).",
        remedy="Expected are images, annotations and categories that refer to each other by their ids.",
    )
