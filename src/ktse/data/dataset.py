"""What every data set offers: images with tags, streamed from where they are."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktse.data.classes import Classes
from ktse.data.longest_side import reduced_image, reduced_mask
from ktse.errors import DataError
from ktse.types import Sample


class Dataset(ABC):
    """N images with image-level tags, and masks for scoring where there are some.

    A reader gives the facts that fit in memory (ids, tags) to this class and reads images and masks one at a time.

    Args:
        name: Name of the data set, as it stands beside a score.
        split: Name of the split.
        classes: The K foreground classes.
        ids: N different ids: path below the data root without ending, percent-escaped.
        tags: (N, K) bool, True where a class is said to be in an image.
        has_masks: Whether at least some images have a true mask.
        notes: What is unusual about the split without being wrong; sentences for a person to read.
        variant: What tells its images from those of another data set of this name and these tags.

    Raises:
        DataError: No images, ids that are not unique, or tags of another shape.
    """

    def __init__(
        self,
        *,
        name: str,
        split: str,
        classes: Classes,
        ids: Sequence[str],
        tags: NDArray[np.bool_],
        has_masks: bool,
        notes: Sequence[str] = (),
        variant: str = "",
    ) -> None:
        self.name = name
        self.split = split
        self.classes = classes
        self.ids = tuple(ids)
        self.tags = np.array(tags, dtype=np.bool_)
        self.tags.flags.writeable = False
        self.has_masks = has_masks
        self.notes = tuple(notes)
        self.variant = variant
        if not self.ids:
            raise DataError(f"{name} has no images in split '{split}'.", remedy="Add images or give another split.")
        if len(set(self.ids)) != len(self.ids):
            twice = next(id_ for id_ in self.ids if self.ids.count(id_) > 1)
            raise DataError(f"{name}: two images share the id '{twice}'.", remedy="List each image once.")
        expected = (len(self.ids), classes.count)
        if self.tags.shape != expected:
            raise DataError(f"{name}: tags are {self.tags.shape}, expected (images, classes) = {expected}.")

    def __len__(self) -> int:
        return len(self.ids)

    @abstractmethod
    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image `index`.

        Returns:
            (H, W, 3) uint8, RGB.

        Raises:
            DataError: The image cannot be read; it is named.
        """

    def small_image(self, index: int, longest_side: int) -> NDArray[np.uint8]:
        """Read image `index`, reduced to a longest side if it is larger; readers may do so faster than from the whole.

        Args:
            index: Of the image.
            longest_side: In px.

        Returns:
            (H, W, 3) uint8, RGB.

        Raises:
            DataError: The image cannot be read; it is named.
        """
        return reduced_image(self.image(index), longest_side)

    @abstractmethod
    def mask(self, index: int) -> NDArray[np.integer[Any]] | None:
        """Read the true mask of image `index`.

        Returns:
            (H, W) label map, 0 background, `classes.ignore_index` where no pixel counts; None if there is no mask.

        Raises:
            DataError: The mask cannot be read; it is named.
        """

    def file(self, index: int) -> Path | None:
        """Return the file of image `index`; None where images are no files."""
        return None

    def sample(self, index: int, *, with_mask: bool = False) -> Sample:
        """Read image `index` with all that is known of it; the mask only when asked for."""
        mask = self.mask(index) if with_mask else None
        return Sample(id=self.ids[index], image=self.image(index), tags=self.tags[index], mask=mask)

    def fingerprint(self) -> str:
        """Return a hex digest: equal where a run may go on.

        It is over name, split, classes, ids, tags, variant and the sizes of the files in bytes: an image that was
        replaced by another is noticed, one that was copied with its data set to another place is the same.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        digest.update(json.dumps([self.name, self.split, self.classes.names, self.ids, self.variant]).encode())
        digest.update(np.packbits(self.tags, axis=1).tobytes())
        digest.update(json.dumps([_bytes_of(self.file(index)) for index in range(len(self))]).encode())
        return digest.hexdigest()

    def subset(self, indices: Sequence[int]) -> Dataset:
        """Return the data set of these images, in this order.

        Raises:
            DataError: No index, or an index twice.
            IndexError: An index is not in 0 .. N-1.
        """
        return _Subset(self, indices)

    def reduced(self, longest_side: int) -> Dataset:
        """Return the same data set with images and masks reduced to a longest side, px; smaller ones stay."""
        return _Reduced(self, longest_side)


def _bytes_of(file: Path | None) -> int | None:
    """Return the size of a file; None where there is none, which is for those to report who read it."""
    try:
        return None if file is None else file.stat().st_size
    except OSError:
        return None


class _Subset(Dataset):
    """Some images of another data set."""

    def __init__(self, whole: Dataset, indices: Sequence[int]) -> None:
        self._whole = whole
        self._indices = tuple(int(index) for index in indices)
        outside = [index for index in self._indices if not 0 <= index < len(whole)]
        if outside:
            raise IndexError(f"image {outside[0]} of {len(whole)}")
        super().__init__(
            name=whole.name,
            split=whole.split,
            classes=whole.classes,
            ids=[whole.ids[index] for index in self._indices],
            tags=whole.tags[list(self._indices)],
            has_masks=whole.has_masks,
            notes=whole.notes,
            variant=whole.variant,
        )

    def file(self, index: int) -> Path | None:
        return self._whole.file(self._indices[index])

    def image(self, index: int) -> NDArray[np.uint8]:
        return self._whole.image(self._indices[index])

    def small_image(self, index: int, longest_side: int) -> NDArray[np.uint8]:
        return self._whole.small_image(self._indices[index], longest_side)

    def mask(self, index: int) -> NDArray[np.integer[Any]] | None:
        return self._whole.mask(self._indices[index])


class _Reduced(_Subset):
    """All images of another data set, reduced to a longest side."""

    def __init__(self, whole: Dataset, longest_side: int) -> None:
        super().__init__(whole, range(len(whole)))
        self.variant = f"{whole.variant} of at most {longest_side} px"
        self._longest_side = longest_side

    def image(self, index: int) -> NDArray[np.uint8]:
        return self.small_image(index, self._longest_side)

    def small_image(self, index: int, longest_side: int) -> NDArray[np.uint8]:
        return super().small_image(index, min(longest_side, self._longest_side))

    def mask(self, index: int) -> NDArray[np.integer[Any]] | None:
        mask = super().mask(index)
        return None if mask is None else reduced_mask(mask, self._longest_side)
