"""Tags from Label Studio's JSON export: choices for a whole image, and the labels of boxes, polygons and brushes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from ktse.data.tag_files import TaggedImage, distinct
from ktse.errors import DataError

_UPLOAD_PREFIX: Final = re.compile(r"[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""


_MOST_ENDS: Final = 16
"""Ends of a path that are looked for, the shortest of all: the ends of a path of many parts would fill the memory."""

_LONGEST_PATH: Final = 4096
"""Characters of the longest path that a file can have."""


def is_label_studio(content: Any) -> bool:
    """Return whether a JSON document is a list of Label Studio's tasks.

    Example:
        >>> is_label_studio([{"data": {"image": "a.jpg"}, "annotations": []}]), is_label_studio([{"image": "a.jpg"}])
        (True, False)
    """
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, Mapping) and {"data", "annotations"} <= set(first)


def is_label_studio_min(content: Any) -> bool:
    """Return whether a JSON document looks like Label Studio's JSON-MIN, whose form depends on the project.

    Example:
        >>> is_label_studio_min([{"id": 1, "image": "/data/upload/1/0a1b2c3d-a.jpg", "choice": "cat"}])
        True
        >>> is_label_studio_min([{"id": 1, "image": "a.jpg", "tags": ["cat"]}])
        False
    """
    first = content[0] if isinstance(content, list) and content else None
    if not isinstance(first, Mapping) or "data" in first:
        return False
    return {"annotation_id", "annotator"} <= set(first) or ({"id", "image"} <= set(first) and "tags" not in first)


def label_studio_tags(tasks: list[Any]) -> list[TaggedImage]:
    """Return the annotated images of an export; tags of several annotators are put together.

    Tasks that nobody has annotated are left out: nothing is known of them. An annotation without labels is an image of
    background only.

    Raises:
        DataError: A task is laid out otherwise; it is named.

    Example:
        >>> task = {"id": 1, "data": {"image": "/data/upload/1/0a1b2c3d-a.jpg"}, "annotations": [
        ...     {"result": [{"type": "choices", "value": {"choices": ["cat"]}}]}]}
        >>> row, = label_studio_tags([task])
        >>> row.image, row.tags, row.elsewhere[-1]
        ('data/upload/1/0a1b2c3d-a.jpg', ('cat',), 'a.jpg')
    """
    rows = []
    for number, task in enumerate(tasks, start=1):
        try:
            annotations = [entry for entry in task["annotations"] if not entry.get("was_cancelled")]
            if annotations:
                image = _image_of(task["data"])
                tags = distinct([tag for entry in annotations for tag in _labels(entry["result"])])
                rows.append(TaggedImage(image, tags, f"task {task.get('id', number)}", _elsewhere(image)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"task {number} is not laid out as Label Studio's export ({type(error).__name__}: {error}).",
                remedy="Export the project as JSON, not JSON-MIN.",
            ) from None
    return rows


def _labels(results: list[Any]) -> Iterator[str]:
    for result in results:
        kind = result.get("type", "")
        if kind == "choices" or kind.endswith("labels"):
            yield from map(str, result["value"].get(kind, ()))


def _image_of(data: Mapping[str, Any]) -> str:
    """Return the path that a task gives for its image: of a URL, what follows the host; of a local file, its path."""
    written = data.get("image", next(iter(data.values()), None))
    if not isinstance(written, str):
        raise TypeError(f"image is {type(written).__name__}")
    url = urlsplit(written)
    local = parse_qs(url.query).get("d")
    return (local[0] if local else unquote(url.path)).lstrip("/")


def _elsewhere(image: str) -> tuple[str, ...]:
    """Return the last ends of a path, longest first: the export knows the server's folders, not ours."""
    path = PurePosixPath(image[: _LONGEST_PATH + 1])
    if len(image) > _LONGEST_PATH or ".." in path.parts:  # refused where files are looked for
        return ()
    ends = ["/".join(path.parts[-length:]) for length in range(min(len(path.parts) - 1, _MOST_ENDS), 0, -1)]
    name = _UPLOAD_PREFIX.sub("", path.name, count=1) if _UPLOAD_PREFIX.match(path.name) else path.name
    return tuple(ends) if name == path.name else (*ends, name)
