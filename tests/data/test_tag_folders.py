from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from ktse.data.tag_folders import folder_tags, in_class_folders
from ktse.errors import DataError


def test_the_first_folder_is_the_class() -> None:
    images = [PurePosixPath(name) for name in ("cat/1.png", "cat/dog/2.png", "Background/3.png")]
    assert [(row.image, row.tags) for row in folder_tags(images)] == [
        ("cat/1.png", ("cat",)),
        ("cat/dog/2.png", ("cat",)),
        ("Background/3.png", ()),
    ]


def test_images_beside_the_folders_have_no_class() -> None:
    images = [PurePosixPath(name) for name in ("a.png", "cat/1.png", "b.png")]
    assert in_class_folders(images)
    assert not in_class_folders(images[::2])
    with pytest.raises(DataError, match=r"2 image.s. lie beside the folders of the classes, 'a.png' first"):
        folder_tags(images)
