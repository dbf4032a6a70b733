"""Small data sets, and the folder of real data where there is one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ktse.data.classes import Classes
from ktse.data.dataset import Dataset


class ArrayDataset(Dataset):
    """Images, tags and masks from memory; image `index` is of the one colour (index, index, index) unless given."""

    def __init__(
        self,
        tags: Sequence[Sequence[int]],
        images: dict[int, Any] | None = None,
        masks: dict[int, NDArray[np.integer[Any]]] | None = None,
        size: tuple[int, int] = (20, 20),
    ) -> None:
        self._given = images or {}
        self._masks = masks or {}
        self._size = size
        super().__init__(
            name="arrays",
            split="train",
            classes=Classes(tuple(f"class{k}" for k in range(len(tags[0])))),
            ids=[f"image{index}" for index in range(len(tags))],
            tags=np.array(tags, dtype=bool),
            has_masks=bool(masks),
        )

    def image(self, index: int) -> NDArray[np.uint8]:
        given = self._given.get(index, np.full((*self._size, 3), index, dtype=np.uint8))
        if isinstance(given, Exception):
            raise given
        return given

    def mask(self, index: int) -> NDArray[np.integer[Any]] | None:
        return self._masks.get(index)


@pytest.fixture
def array_dataset() -> type[ArrayDataset]:
    return ArrayDataset


@pytest.fixture
def save_image() -> Callable[..., Path]:
    """Write a picture of one colour, or of the given pixels."""

    def save(path: Path, colour: Any = (200, 100, 50), size: tuple[int, int] = (8, 6)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path)
        return path

    return save


@pytest.fixture
def shared_data() -> Path:
    """Return the folder of real data sets, or skip."""
    shared = os.environ.get("KTSE_SHARED")
    if not shared:
        pytest.skip("KTSE_SHARED is not set: no real data here")
    return Path(shared) / "data"
