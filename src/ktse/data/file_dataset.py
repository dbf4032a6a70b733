"""Data sets whose images are files."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ktse.data.dataset import Dataset
from ktse.data.image_io import read_image


class FileDataset(Dataset):
    """A data set whose images are files; who makes one says where they are, and sets `_max_pixels`."""

    _max_pixels: int

    @abstractmethod
    def file(self, index: int) -> Path:
        """Return the file of image `index`."""

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image `index`: (H, W, 3) uint8, RGB."""
        return read_image(self.file(index), max_pixels=self._max_pixels)

    def small_image(self, index: int, longest_side: int) -> NDArray[np.uint8]:
        """Read image `index` reduced to a longest side, without unpacking all of a large JPEG."""
        return read_image(self.file(index), max_pixels=self._max_pixels, longest_side=longest_side)
