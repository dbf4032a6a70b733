"""Tags from folders: each holds the images of one class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from ktse.data.tag_files import TaggedImage
from ktse.errors import DataError

BACKGROUND: Final = "background"
"""Folder of the images that show none of the classes."""


def in_class_folders(images: Sequence[PurePosixPath]) -> bool:
    """Return whether some of the images lie in folders.

    Args:
        images: Paths below the folder that holds the class folders.
    """
    return any(len(image.parts) > 1 for image in images)


def folder_tags(images: Sequence[PurePosixPath]) -> list[TaggedImage]:
    """Return each image with the folder that it lies in as its tag; `background` is no tag.

    Args:
        images: Paths below the folder that holds the class folders.

    Raises:
        DataError: An image lies beside the folders.

    Example:
        >>> [row.tags for row in folder_tags([PurePosixPath("cat/1/a.jpg"), PurePosixPath("background/b.jpg")])]
        [('cat',), ()]
    """
    beside = [str(image) for image in images if len(image.parts) == 1]
    if beside:
        raise DataError(
            f"{len(beside)} image(s) lie beside the folders of the classes, '{beside[0]}' first.",
            remedy=f"Move them into the folder of their class or '{BACKGROUND}', or write all tags into train.csv.",
        )
    tags = (() if image.parts[0].lower() == BACKGROUND else (image.parts[0],) for image in images)
    return [
        TaggedImage(str(image), of_image, f"folder '{image.parts[0]}'")
        for image, of_image in zip(images, tags, strict=True)
    ]
