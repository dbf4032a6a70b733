"""COCO: tags and label maps from `instances_*.json` (REFERENCE 6.6)."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ktse.data.coco_annotations import read_instances, read_outlines
from ktse.data.coco_cache import cache_folder, cached_mask
from ktse.data.coco_painting import paint
from ktse.data.faults import located
from ktse.data.file_dataset import FileDataset
from ktse.data.image_ids import image_id
from ktse.data.image_io import MAX_PIXELS
from ktse.errors import DataError, near_matches

_PREFIX: Final = "instances_"
_YEARS: Final = ("2014", "2017")


class COCO14(FileDataset):
    """One split of COCO 2014, or of 2017 or any set of the same layout.

    The tags of an image are the classes of all its annotations, crowds included, since a crowd says that its class is
    there; label maps are painted in the order of the file, crowds left out, later objects over earlier ones. Category
    ids (1..90 with gaps) become classes in ascending order.

    Args:
        root: Folder with `annotations/instances_SPLIT.json` and the images in `SPLIT/` or `images/SPLIT/`.
        split: train or val, of the first year found; or the full name, as train2014.
        images_without_objects: Whether images without any annotation belong to the set, untagged: train2014 then has
            82,783 images, else 82,081; val2014 has 40,504 or 40,137.
        mask_cache: Folder where label maps are kept as PNGs once they were painted; when left out, nothing is written.
        max_pixels: Largest image that is read.

    Raises:
        DataError: A file is missing or damaged, or of another layout; it is named.
    """

    def __init__(
        self,
        root: Path | str,
        split: str = "train",
        *,
        images_without_objects: bool = True,
        mask_cache: Path | str | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self._max_pixels = max_pixels
        self._annotation_file = _find_annotations(Path(root) / "annotations", split)
        self._image_folder = _find_images(Path(root), self._annotation_file.stem.removeprefix(_PREFIX))
        self._cache = cache_folder(Path(mask_cache), self._annotation_file) if mask_cache else None
        instances = read_instances(self._annotation_file)
        rows = (
            range(len(instances.files))
            if images_without_objects
            else np.flatnonzero(instances.tags.any(axis=1)).tolist()
        )
        self._class_of = instances.class_of
        self._numbers = [instances.numbers[row] for row in rows]
        self._sizes = [instances.sizes[row] for row in rows]
        self._files = [instances.files[row] for row in rows]
        super().__init__(
            name="COCO",
            split=split,
            classes=instances.classes,
            ids=[image_id(str(file)) for file in self._files],
            tags=instances.tags[list(rows)],
            has_masks=True,
        )

    def file(self, index: int) -> Path:
        """Return the file of image `index`."""
        return self._image_folder / self._files[index]

    def mask(self, index: int) -> NDArray[np.integer[Any]]:
        """Read the label map of image `index`: (H, W), painted from the annotations or from the cache."""
        height, width = self._sizes[index]
        if height * width > self._max_pixels:
            raise DataError(f"'{self.ids[index]}' has {height} x {width} pixels, at most {self._max_pixels} are read.")
        if self._cache is None:
            return self._painted(index)
        path = self._cache / f"{self.ids[index]}.png"
        return cached_mask(path, (height, width), self.classes, lambda: self._painted(index))

    def _painted(self, index: int) -> NDArray[np.integer[Any]]:
        labels = np.uint8 if self.classes.num_labels <= np.iinfo(np.uint8).max else np.uint16
        try:
            return paint(self._objects.get(self._numbers[index], ()), self._sizes[index], dtype=labels)
        except DataError as error:
            raise located(f"'{self._annotation_file}', image '{self.ids[index]}'", error) from None

    @cached_property
    def _objects(self) -> dict[int, list[tuple[int, Any]]]:
        """Label and outline of every object of every image; read when the first mask is painted, never to train."""
        return read_outlines(self._annotation_file, self._class_of)


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


def _find_images(root: Path, name: str) -> Path:
    folder = next((place for place in (root / name, root / "images" / name) if place.is_dir()), None)
    if folder is None:
        raise DataError(f"there is no folder '{root / name}'.", remedy="Unpack the images there.")
    return folder
