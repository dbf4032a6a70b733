"""Reading `instances_*.json` of COCO, hundreds of megabytes, without ever holding all outlines as Python lists.

Each record is reduced the moment that it is parsed, so that memory stays near the size of the file's text.
"""

from __future__ import annotations

import json
from array import array
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ktse.data.classes import Classes
from ktse.data.image_ids import path_below
from ktse.errors import DataError

_ANNOTATION_KEYS: Final = {"image_id", "category_id"}
_IMAGE_KEYS: Final = ("id", "file_name", "height", "width")


@dataclass(frozen=True, slots=True)
class Instances:
    """What a file says of N images, without outlines.

    Attributes:
        classes: The K classes, in ascending order of their category ids.
        class_of: Class (0 .. K-1) of each category id.
        numbers: Id of each image.
        files: Path of each image below the image folder.
        sizes: (height, width) of each image.
        tags: (N, K) bool, the classes of all annotations; of crowds too, since a crowd says that its class is there.
    """

    classes: Classes
    class_of: dict[int, int]
    numbers: tuple[int, ...]
    files: tuple[PurePosixPath, ...]
    sizes: tuple[tuple[int, int], ...]
    tags: NDArray[np.bool_]


def read_instances(path: Path) -> Instances:
    """Read images, classes and tags.

    Raises:
        DataError: The file is missing or damaged, or of another layout; it is named.
    """
    content = _read(path, lambda record: (record["image_id"], record["category_id"]))
    try:
        categories = sorted((int(category["id"]), str(category["name"])) for category in content["categories"])
        images = content["images"]
        class_of = {number: index for index, (number, _) in enumerate(categories)}
        row_of = {int(image["id"]): row for row, image in enumerate(images)}
        if len(class_of) < len(categories) or len(row_of) < len(images):
            raise ValueError("two images or two categories have one id")
        tags = np.zeros((len(images), len(categories)), dtype=np.bool_)
        for image_id, category_id in content["annotations"]:
            tags[row_of[image_id], class_of[category_id]] = True
        return Instances(
            classes=Classes(tuple(name for _, name in categories)),
            class_of=class_of,
            numbers=tuple(row_of),
            files=tuple(path_below(str(image["file_name"])) for image in images),
            sizes=tuple(_size(image) for image in images),
            tags=tags,
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise of_other_layout(path, error) from None


def read_outlines(path: Path, class_of: dict[int, int]) -> dict[int, list[tuple[int, Any]]]:
    """Read label and outline of every object of every image, in the order of the file; crowds left out.

    Args:
        path: The file.
        class_of: Class (0 .. K-1) of each category id.

    Returns:
        Lists of (label, outline) by the id of the image, as `coco_painting.paint` takes them.

    Raises:
        DataError: The file is missing or damaged, or of another layout; it is named.
    """
    objects: dict[int, list[tuple[int, Any]]] = defaultdict(list)
    content = _read(path, lambda record: (record["image_id"], record["category_id"], _outline(record)))
    try:
        for image_id, category_id, outline in content["annotations"]:
            if outline is not _CROWD:
                objects[image_id].append((class_of[category_id] + 1, outline))
    except (KeyError, TypeError, ValueError) as error:
        raise of_other_layout(path, error) from None
    return objects


def of_other_layout(path: Path, error: Exception) -> DataError:
    """Return the error for a file that is JSON, but not COCO's."""
    return DataError(
        f"'{path}' is not laid out as COCO's instances files ({type(error).__name__}: {error}).",
        remedy="Expected are images, annotations and categories that refer to each other by their ids.",
    )


def _size(image: dict[str, Any]) -> tuple[int, int]:
    size = int(image["height"]), int(image["width"])
    if min(size) < 1:
        raise ValueError(f"an image of {size[0]} x {size[1]} pixels")
    return size


_CROWD = object()


def _outline(annotation: dict[str, Any]) -> Any:
    """Return the outline of an object, polygons packed into a quarter of their memory; `_CROWD` for a crowd."""
    if annotation.get("iscrowd", 0):
        return _CROWD
    outline = annotation.get("segmentation")
    try:
        return [array("d", polygon) for polygon in outline] if isinstance(outline, list) else outline
    except (TypeError, OverflowError):
        return outline  # damaged: told when its image is painted, the others can be


def _read(path: Path, reduce: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Read a file, images and annotations reduced to what is needed of them."""

    def reduced(record: dict[str, Any]) -> Any:
        if record.keys() >= _ANNOTATION_KEYS:
            return reduce(record)
        return {key: record[key] for key in _IMAGE_KEYS if key in record} if "file_name" in record else record

    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"), object_hook=reduced)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"annotations '{path}' cannot be read: {error}.", remedy="Unpack them anew.") from None
    if not isinstance(content, dict):
        raise of_other_layout(path, TypeError("no object at the top"))
    return content
