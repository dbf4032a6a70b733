"""Tags from COCO's annotations: of boxes and masks only the class is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ktse.data.tag_files import TaggedImage
from ktse.errors import DataError

_PARTS = ("images", "annotations", "categories")


def is_coco(content: Any) -> bool:
    """Return whether a JSON document has the parts of COCO's instances files.

    Example:
        >>> is_coco({"images": [], "annotations": [], "categories": []}), is_coco({"a.jpg": ["cat"]})
        (True, False)
    """
    return isinstance(content, Mapping) and all(isinstance(content.get(part), list) for part in _PARTS)


def coco_tags(content: Mapping[str, Any]) -> list[TaggedImage]:
    """Return the images of a COCO document, each with the categories of all its annotations, crowds included.

    Raises:
        DataError: A part lacks a field, or an annotation refers to no image or category.

    Example:
        >>> coco_tags({"images": [{"id": 7, "file_name": "a.jpg"}], "categories": [{"id": 3, "name": "cat"}],
        ...            "annotations": [{"image_id": 7, "category_id": 3}]})
        [TaggedImage(image='a.jpg', tags=('cat',), place='image 7', elsewhere=())]
    """
    try:
        names = {category["id"]: str(category["name"]).strip() for category in content["categories"]}
        files = {image["id"]: str(image["file_name"]) for image in content["images"]}
        tags: dict[Any, dict[str, None]] = {number: {} for number in files}
        for annotation in content["annotations"]:
            tags[annotation["image_id"]][names[annotation["category_id"]]] = None
    except (KeyError, TypeError) as error:
        raise DataError(
            f"COCO annotations do not fit together ({type(error).__name__}: {error}).",
            remedy="Images and categories need ids that the annotations refer to. Export them anew.",
        ) from None
    return [TaggedImage(file, tuple(tags[number]), f"image {number}") for number, file in files.items()]
