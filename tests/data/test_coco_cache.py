from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ktse.data.classes import Classes
from ktse.data.coco_cache import cache_folder, cached_mask
from ktse.data.image_io import read_label_map, write_label_map
from ktse.errors import DataError, InputError

CLASSES = Classes(("cat", "dog"))
MASK = np.array([[0, 1, 2], [2, 1, 0]])


def never() -> NDArray[np.integer[Any]]:
    raise LookupError("painted although it was there")


def test_painted_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.png"
    assert cached_mask(path, (2, 3), CLASSES, lambda: MASK) is MASK
    assert (cached_mask(path, (2, 3), CLASSES, never) == MASK).all()
    assert [file.name for file in path.parent.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "spoilt",
    [b"", b"\x89PNG", np.zeros((3, 2), int), np.full((2, 3), 3)],
    ids=["empty", "damaged", "another size", "labels of no class"],
)
def test_what_cannot_be_right_is_painted_anew(tmp_path: Path, spoilt: Any) -> None:
    path = tmp_path / "a.png"
    if isinstance(spoilt, bytes):
        path.write_bytes(spoilt)
    else:
        write_label_map(path, spoilt)
    assert (cached_mask(path, (2, 3), CLASSES, lambda: MASK) == MASK).all()
    assert (read_label_map(path) == MASK).all()


def test_labels_above_255_survive(tmp_path: Path) -> None:
    many = Classes(tuple(f"class {k}" for k in range(300)))
    cached_mask(tmp_path / "a.png", (1, 2), many, lambda: np.array([[0, 300]]))
    assert cached_mask(tmp_path / "a.png", (1, 2), many, never).tolist() == [[0, 300]]


def test_a_mask_that_cannot_be_painted_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> NDArray[np.integer[Any]]:
        raise DataError("an outline is damaged.")

    with pytest.raises(DataError, match="outline"):
        cached_mask(tmp_path / "cache" / "a.png", (2, 3), CLASSES, fail)
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        cached_mask(tmp_path / "file" / "a.png", (2, 3), CLASSES, lambda: MASK)


def test_another_content_is_another_folder(tmp_path: Path) -> None:
    annotations = tmp_path / "instances_val2014.json"
    folders = []
    for content in (b"{}", b"[]", b"{}"):
        annotations.write_bytes(content)
        folders.append(cache_folder(tmp_path / "cache", annotations))
    assert folders[0] == folders[2] != folders[1]
    assert folders[0].parent == tmp_path / "cache"
    assert not folders[0].exists()
    with pytest.raises(DataError, match="cannot be read"):
        cache_folder(tmp_path, tmp_path / "none.json")
