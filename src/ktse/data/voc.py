"""PASCAL VOC 2012: lists of splits, tags from the XML annotations, palette label maps."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from ktse.data.classes import VOC_CLASSES, Classes
from ktse.data.dataset import Dataset
from ktse.data.faults import located
from ktse.data.image_io import MAX_PIXELS, read_image, read_mask
from ktse.errors import DataError, near_matches

_MASK_FOLDERS = ("SegmentationClassAug", "SegmentationClass")  # the first has VOC's own masks and those of SBD


class VOC12(Dataset):
    """One split of VOC 2012.

    The split is a list in `ImageSets/Segmentation/`; the tags of an image are the classes of all objects in its
    `Annotations/ID.xml`, difficult ones included; masks are in `SegmentationClassAug` or `SegmentationClass`. The test
    split has neither annotations nor masks: its tags are empty.

    Args:
        root: The folder `VOCdevkit/VOC2012`.
        split: train, trainaug, val, test, or the name of any other list there.
        max_pixels: Largest image that is read.

    Raises:
        DataError: A folder, a list or an annotation is missing or damaged; the file is named.
    """

    def __init__(self, root: Path | str, split: str = "train", *, max_pixels: int = MAX_PIXELS) -> None:
        self._root = Path(root)
        self._max_pixels = max_pixels
        ids = _read_split(self._root / "ImageSets" / "Segmentation", split)
        if not (self._root / "JPEGImages").is_dir():
            raise DataError(f"there is no folder '{self._root / 'JPEGImages'}'.", remedy="Unpack the images there.")
        super().__init__(
            name="VOC 2012",
            split=split,
            classes=VOC_CLASSES,
            ids=ids,
            tags=_read_tags(self._root / "Annotations", ids, annotated=split != "test"),
            has_masks=any(self._mask_path(id_) for id_ in ids),
        )

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image `index`: (H, W, 3) uint8, RGB."""
        return read_image(self._root / "JPEGImages" / f"{self.ids[index]}.jpg", max_pixels=self._max_pixels)

    def mask(self, index: int) -> NDArray[np.integer[Any]] | None:
        """Read the label map of image `index`: (H, W), None where there is none."""
        path = self._mask_path(self.ids[index])
        return None if path is None else read_mask(path, self.classes, max_pixels=self._max_pixels)

    def _mask_path(self, id_: str) -> Path | None:
        candidates = (self._root / folder / f"{id_}.png" for folder in _MASK_FOLDERS)
        return next((path for path in candidates if path.is_file()), None)


def _read_split(folder: Path, split: str) -> list[str]:
    """Read the ids of a split; of a line that gives paths (as lists of SBD do) the name of the first file."""
    lists = {path.stem: path for path in folder.glob("*.txt")}
    if not lists:
        raise DataError(f"there are no lists in '{folder}'.", remedy="Give the folder VOCdevkit/VOC2012 as data.")
    if split not in lists and split == "trainaug":
        raise DataError(
            f"the list '{folder / 'trainaug.txt'}' is missing: VOC comes without it, it is VOC train with SBD.",
            remedy="Put the list of its 10,582 images there, or use data.train_split=train.",
        )
    if split not in lists:
        raise DataError(f"VOC 2012 has no split '{split}'.", remedy=near_matches(split, lists))
    lines = (line.split() for line in lists[split].read_text(encoding="utf-8", errors="replace").splitlines())
    return [Path(words[0]).stem for words in lines if words]


def _read_tags(folder: Path, ids: Iterable[str], *, annotated: bool) -> NDArray[np.bool_]:
    if not annotated:
        return np.zeros((len(list(ids)), VOC_CLASSES.count), dtype=np.bool_)
    return np.array([_tags_of(folder / f"{id_}.xml", VOC_CLASSES) for id_ in ids], dtype=np.bool_)


def _tags_of(path: Path, classes: Classes) -> NDArray[np.bool_]:
    """Return (K,) bool, the classes of the objects in an annotation; parts of objects (heads, hands) have no say."""
    try:
        root = ElementTree.fromstring(path.read_bytes(), ElementTree.XMLParser(target=_NoDoctype()))  # noqa: S314
        tags = np.zeros(classes.count, dtype=np.bool_)
        for name in root.iterfind("object/name"):
            tags[classes.index((name.text or "").strip())] = True
    except FileNotFoundError:
        raise DataError(f"there is no annotation '{path}'.", remedy="Unpack VOC's Annotations.") from None
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f"annotation '{path}' cannot be read: {error}.", remedy="Unpack it anew.") from None
    except DataError as error:
        raise located(f"annotation '{path}'", error) from None
    return tags


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses a document type, and with it every entity that could expand without bound or fetch a file."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise DataError(f"it declares a document type '{name}', which VOC's files never do.", remedy="Do not trust it.")
