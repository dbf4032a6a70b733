"""PASCAL VOC 2012, with the masks and images that SBD adds to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ktse.data.classes import VOC_CLASSES
from ktse.data.file_dataset import FileDataset
from ktse.data.image_io import MAX_PIXELS, read_mask
from ktse.data.sbd import find_sbd, read_sbd_mask, sbd_mask_path
from ktse.data.voc_splits import TRAINAUG, read_split, trainaug_note
from ktse.data.voc_tags import tags_from_annotations, tags_from_masks
from ktse.errors import DataError

_MASK_FOLDERS: Final = ("SegmentationClass", "SegmentationClassAug")  # VOC's own first: SBD's have other outlines
_UNANNOTATED: Final = "test"
_SBD_SUFFIX: Final = ".mat"


class VOC12(FileDataset):
    """One split of VOC 2012.

    The split is a list in `ImageSets/Segmentation`; trainaug is made from the lists of SBD where its own is missing.
    The mask of an image is that of `SegmentationClass`, else of `SegmentationClassAug`, else SBD's `cls/ID.mat`. The
    test split has neither annotations nor masks: its tags are empty, and it serves to predict.

    Args:
        root: The folder `VOCdevkit/VOC2012`.
        split: train (1,464 images), trainaug (10,582), val (1,449), trainval, test, or any other list there.
        tags_from: xml: the objects of `Annotations/ID.xml`; masks: the labels of the masks.
        difficult: Whether objects count that the annotations call difficult.
        sbd: Folder of SBD; when left out, it is looked for in and beside the root.
        max_pixels: Largest image that is read.

    Raises:
        DataError: A folder, a list or an annotation is missing or damaged; the file is named.
    """

    def __init__(
        self,
        root: Path | str,
        split: str = "train",
        *,
        tags_from: Literal["xml", "masks"] = "xml",
        difficult: bool = True,
        sbd: Path | str | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self._root = Path(root)
        self._sbd = find_sbd(self._root, Path(sbd) if sbd else None)
        self._max_pixels = max_pixels
        ids = read_split(self._root, split, self._sbd)
        if not (self._root / "JPEGImages").is_dir():
            raise DataError(f"there is no folder '{self._root / 'JPEGImages'}'.", remedy="Unpack the images there.")
        if split == _UNANNOTATED or not ids:
            tags = np.zeros((len(ids), VOC_CLASSES.count), dtype=np.bool_)
        elif tags_from == "masks":
            tags = tags_from_masks(ids, self._mask_of)
        else:
            tags = tags_from_annotations(self._root / "Annotations", ids, difficult=difficult)
        masks = [path for path in map(self._mask_path, ids) if path]
        note = trainaug_note(ids) if split == TRAINAUG else _truth_note(split, masks)
        super().__init__(
            name="VOC 2012",
            split=split,
            classes=VOC_CLASSES,
            ids=ids,
            tags=tags,
            has_masks=bool(masks),
            notes=[note] if note else [],
        )

    def file(self, index: int) -> Path:
        """Return the file of image `index`."""
        return self._root / "JPEGImages" / f"{self.ids[index]}.jpg"

    def mask(self, index: int) -> NDArray[np.integer[Any]] | None:
        """Read the label map of image `index`: (H, W), None where there is none."""
        return self._mask_of(self.ids[index])

    def _mask_of(self, id_: str) -> NDArray[np.integer[Any]] | None:
        path = self._mask_path(id_)
        if path is None:
            return None
        if path.suffix == _SBD_SUFFIX:
            return read_sbd_mask(path, max_pixels=self._max_pixels)
        return read_mask(path, VOC_CLASSES, max_pixels=self._max_pixels)

    def _mask_path(self, id_: str) -> Path | None:
        candidates = [self._root / folder / f"{id_}.png" for folder in _MASK_FOLDERS]
        if self._sbd:
            candidates.append(sbd_mask_path(self._sbd, id_))
        return next((path for path in candidates if path.is_file()), None)


def _truth_note(split: str, masks: Sequence[Path]) -> str:
    """Return a sentence where the truth of a split of VOC is not VOC's own."""
    foreign = sum(path.suffix == _SBD_SUFFIX for path in masks)
    if not foreign:
        return ""
    return f"{foreign} of {len(masks)} masks of {split} are SBD's, whose outlines are not VOC's: scores will differ."
