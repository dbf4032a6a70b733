"""Tags of a folder of images as JSON: our own two layouts, and those of COCO and Label Studio."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ktse.data.faults import located
from ktse.data.tag_coco import coco_tags, is_coco
from ktse.data.tag_files import TaggedImage, distinct, read_tag_text, refuse_empty, split_tags
from ktse.data.tag_label_studio import is_label_studio, is_label_studio_min, label_studio_tags
from ktse.errors import DataError

_LAYOUTS = 'Write [{"image": "a.jpg", "tags": ["cat"]}] or {"a.jpg": ["cat"]}, or export as COCO or Label Studio JSON.'


def read_json_tags(path: Path) -> list[TaggedImage]:
    """Read the tags of images from a JSON file.

    Layouts: a list of `{"image": path, "tags": [name]}`, an object `{path: [name]}`, COCO's instances, and Label
    Studio's JSON export.

    Raises:
        DataError: The file is missing, empty, damaged or of another layout; file and entry are named.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "train.json")
        ...     _ = path.write_text('{"a.jpg": ["cat", "dog"], "b.jpg": []}')
        ...     [(row.image, row.tags) for row in read_json_tags(path)]
        [('a.jpg', ('cat', 'dog')), ('b.jpg', ())]
    """
    content = _parsed(path, read_tag_text(path), "")
    try:
        return refuse_empty(path, _rows(content))
    except DataError as error:
        raise error if str(path) in str(error) else located(f"'{path}'", error) from None


def read_jsonl_tags(path: Path) -> list[TaggedImage]:
    """Read the tags of images from a file with an object `{"image": path, "tags": [name]}` on each line.

    Raises:
        DataError: As for `read_json_tags`; file and line are named.
    """
    rows = []
    for number, line in enumerate(read_tag_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            rows.append(_entry(_parsed(path, line, f", {place}"), place))
        except DataError as error:
            raise error if str(path) in str(error) else located(f"'{path}', {place}", error) from None
    return refuse_empty(path, rows)


def _parsed(path: Path, text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"'{path}'{place} is not JSON: {error}.", remedy="Export it anew.") from None


def _rows(content: Any) -> list[TaggedImage]:
    if is_coco(content):
        return coco_tags(content)
    if is_label_studio(content):
        return label_studio_tags(content)
    if is_label_studio_min(content):
        raise DataError(
            f"this looks like Label Studio's JSON-MIN (it has {', '.join(sorted(map(str, content[0])))}).",
            remedy="Export the project as JSON, not JSON-MIN; of a list of your own, name the keys image and tags.",
        )
    if isinstance(content, list):
        return [_located_entry(entry, f"entry {number}") for number, entry in enumerate(content, start=1)]
    if isinstance(content, Mapping):
        return [_located_entry({"image": image, "tags": tags}, f"entry '{image}'") for image, tags in content.items()]
    raise DataError(f"tags are expected in a list or an object, got {type(content).__name__}.", remedy=_LAYOUTS)


def _located_entry(entry: Any, place: str) -> TaggedImage:
    try:
        return _entry(entry, place)
    except DataError as error:
        raise located(place, error) from None


def _entry(entry: Any, place: str) -> TaggedImage:
    if not isinstance(entry, Mapping) or not {"image", "tags"} <= set(entry):
        got = ", ".join(sorted(map(str, entry))) if isinstance(entry, Mapping) else type(entry).__name__
        raise DataError(f"got {got or 'nothing'}, expected image and tags.", remedy=_LAYOUTS)
    image, tags = entry["image"], entry["tags"]
    if not isinstance(image, str) or not image.strip():
        raise DataError(f"image is {json.dumps(image)}, expected a path.", remedy="Name it or remove the entry.")
    if isinstance(tags, str):
        return TaggedImage(image.strip(), split_tags(tags), place)
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise DataError("tags are not a list of names.", remedy='Write "tags": ["cat", "dog"], or [] for background.')
    return TaggedImage(image.strip(), distinct(tags), place)
