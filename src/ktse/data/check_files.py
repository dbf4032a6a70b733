"""What is wrong with the images and masks of a data set; each is read once, and none is kept."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ktse.data.dataset import Dataset
from ktse.data.faults import message_of
from ktse.data.findings import Finding, Severity
from ktse.data.image_traits import TRAITS, image_traits
from ktse.errors import DataError

Track = Callable[[range], Iterable[int]]

UNREADABLE: Final = "images that cannot be read"
UNUSABLE: Final = "masks that cannot be used"
BLANK: Final = "images of one single colour"
UNTAGGED: Final = "masks with classes that the tags of their images lack"
TWICE: Final = "the same picture more than once"

_FAULTS: Final[tuple[tuple[Severity, str, str], ...]] = (
    ("error", UNUSABLE, "Mend them or take them away: training needs none."),
    ("warning", BLANK, "Take them out if they are damaged."),
    ("warning", UNTAGGED, "Add the tags, or mend the masks."),
    ("warning", TWICE, "Keep one; a picture in two splits flatters the score."),
    *(("note", trait, remedy) for trait, remedy in TRAITS.items()),
)
_DIGEST_BYTES: Final = 16


def check_files(datasets: Sequence[Dataset], *, track: Track = iter) -> list[Finding]:
    """Read every image and mask: unreadable ones, pictures that are there twice, masks of another size or labels.

    Of an image only a digest and its name are kept.

    Args:
        datasets: Splits of one data set.
        track: Wraps the indices of the images, for a progress bar.
    """
    places: dict[str, list[str]] = defaultdict(list)
    errors: dict[tuple[str, str], list[str]] = defaultdict(list)  # what, and what to do about it: said once for all
    shown_first: dict[bytes, str] = {}
    shown_again: dict[str, list[str]] = defaultdict(list)
    for dataset in datasets:
        for index in track(range(len(dataset))):
            name = f"{dataset.split}: {dataset.ids[index]}"
            try:
                image = dataset.image(index)
            except DataError as error:
                errors[UNREADABLE, error.remedy].append(message_of(error))
                continue
            first = shown_first.setdefault(_digest(image), name)
            if first is not name:
                shown_again[first].append(name)
            try:
                for fault, place in _faults(dataset, index, image, name):
                    places[fault].append(place)
            except DataError as error:
                errors[UNUSABLE, error.remedy].append(message_of(error))
    places[TWICE] = [" = ".join([first, *others]) for first, others in shown_again.items()]
    refused = [Finding("error", what, tuple(where), remedy) for (what, remedy), where in errors.items()]
    seen = [Finding(severity, what, tuple(places[what]), remedy) for severity, what, remedy in _FAULTS if places[what]]
    return sorted(refused, key=lambda finding: finding.what) + seen


def _digest(image: NDArray[np.uint8]) -> bytes:
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=_DIGEST_BYTES)
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


def _faults(dataset: Dataset, index: int, image: NDArray[np.uint8], name: str) -> Iterator[tuple[str, str]]:
    """Yield each fault of an image that can be read, and of its mask, with the place to name.

    Raises:
        DataError: The mask cannot be used.
    """
    if image.min() == image.max():
        yield BLANK, name
    if file := dataset.file(index):
        for trait in image_traits(file):
            yield trait, name
    mask = dataset.mask(index)
    if mask is None:
        return
    if mask.shape != image.shape[:2]:
        yield UNUSABLE, f"{name}: mask is {mask.shape}, image is {image.shape[:2]} (height, width)"
    if untagged := _untagged(dataset, index, mask):
        yield UNTAGGED, f"{name} ({', '.join(untagged)})"


def _untagged(dataset: Dataset, index: int, mask: NDArray[np.integer[Any]]) -> list[str]:
    """Return the classes that a mask shows and the tags of its image do not name."""
    labels = np.unique(mask)
    labels = labels[(labels > 0) & (labels < dataset.classes.num_labels)]
    return [dataset.classes.names[label - 1] for label in labels if not dataset.tags[index, label - 1]]
