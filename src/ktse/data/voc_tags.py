"""Tags of VOC images: from the XML annotations of their objects, or from their label maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from ktse.data.classes import VOC_CLASSES
from ktse.data.faults import located
from ktse.errors import DataError

MAX_XML_BYTES: Final = 2**20
"""Largest annotation that is read; real ones have at most 30 kB."""


def tags_from_annotations(folder: Path, ids: Sequence[str], *, difficult: bool = True) -> NDArray[np.bool_]:
    """Return which classes have objects in the annotations of images.

    Args:
        folder: VOC's `Annotations`.
        ids: N ids of images.
        difficult: Whether objects count that VOC calls difficult, as they do in the published labels.

    Returns:
        (N, K) bool.

    Raises:
        DataError: An annotation is missing, damaged, hostile, or has a class that VOC has not; it is named.
    """
    return np.array([_tags_of(folder / f"{id_}.xml", difficult) for id_ in ids], dtype=np.bool_)


def tags_from_masks(ids: Sequence[str], mask_of: Callable[[str], NDArray[np.integer[Any]] | None]) -> NDArray[np.bool_]:
    """Return which classes have pixels in the label maps of images.

    Args:
        ids: N ids of images.
        mask_of: Reads the (H, W) label map of an id, None where there is none.

    Returns:
        (N, K) bool.

    Raises:
        DataError: An image has no label map, or one that cannot be read.

    Example:
        >>> tags_from_masks(["a"], lambda _: np.array([[0, 2, 255]]))[0, :3].tolist()
        [False, True, False]
    """
    labels = np.arange(1, VOC_CLASSES.num_labels)
    tags = np.zeros((len(ids), VOC_CLASSES.count), dtype=np.bool_)
    for row, id_ in zip(tags, ids, strict=True):
        mask = mask_of(id_)
        if mask is None:
            raise DataError(f"'{id_}' has no mask to take tags from.", remedy="Use data.voc_tags=xml, or add masks.")
        row[:] = np.isin(labels, mask)
    return tags


def _tags_of(path: Path, difficult: bool) -> NDArray[np.bool_]:
    """Return (K,) bool, the classes of the objects in an annotation; parts of objects (heads, hands) have no say."""
    tags = np.zeros(VOC_CLASSES.count, dtype=np.bool_)
    try:
        for thing in _parse(path).iterfind("object"):
            if difficult or thing.findtext("difficult", "0").strip() != "1":
                tags[VOC_CLASSES.index(thing.findtext("name", "").strip())] = True
    except FileNotFoundError:
        raise DataError(f"there is no annotation '{path}'.", remedy="Unpack VOC's Annotations.") from None
    except (OSError, LookupError, ValueError, ElementTree.ParseError) as error:  # unknown encodings are Lookup or Value
        raise DataError(f"annotation '{path}' cannot be read: {error}.", remedy="Unpack it anew.") from None
    except DataError as error:
        raise located(f"annotation '{path}'", error) from None
    return tags


def _parse(path: Path) -> ElementTree.Element:
    with path.open("rb") as file:
        content = file.read(MAX_XML_BYTES + 1)
    if len(content) > MAX_XML_BYTES:
        raise DataError(f"it is larger than {MAX_XML_BYTES} bytes, which VOC's files never are.", remedy="Unpack anew.")
    return ElementTree.fromstring(content, ElementTree.XMLParser(target=_NoDoctype()))  # noqa: S314


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses a document type, and with it every entity that could expand without bound or fetch a file."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise DataError(f"it declares a document type '{name}', which VOC's files never do.", remedy="Do not trust it.")
