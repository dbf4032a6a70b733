"""Files that say which tags each image has: what their readers have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ktse.errors import DataError

MAX_TAG_BYTES: Final = 512 * 2**20
"""Largest file of tags that is read; the annotations of all of COCO are a little smaller."""

_SEPARATOR: Final = re.compile(r"[;|,]")


@dataclass(frozen=True, slots=True)
class TaggedImage:
    """An image and the names of its tags, as a file, a folder or a file name says them.

    Attributes:
        image: Path of the image below the image folder or the root, as it is written.
        tags: Names of its classes; none for an image of background only.
        place: Where it is written, for errors.
        elsewhere: Paths that are tried in order where there is no file at `image`.
    """

    image: str
    tags: tuple[str, ...]
    place: str
    elsewhere: tuple[str, ...] = ()


def split_tags(text: str) -> tuple[str, ...]:
    """Return the tags of a text that separates them by `;`, `|` or `,`; each once, in their order.

    Example:
        >>> split_tags("traffic light; dog ;; dog")
        ('traffic light', 'dog')
    """
    return distinct(_SEPARATOR.split(text))


def distinct(words: list[str]) -> tuple[str, ...]:
    """Return tags without the space around them, each once, empty ones left out."""
    return tuple(dict.fromkeys(word for word in map(str.strip, words) if word))


def check_tag_file(path: Path, *, max_bytes: int = MAX_TAG_BYTES) -> None:
    """Refuse, before it is read, a file of tags that is missing, empty or too large.

    Raises:
        DataError: It is; the file is named.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise DataError(f"there is no file '{path}'.", remedy="Write it, with the tags of each image.") from None
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error}.", remedy="Make it readable.") from None
    if not size:
        raise DataError(f"'{path}' is empty.", remedy="Write the tags of each image.")
    if size > max_bytes:
        raise DataError(
            f"'{path}' has {size} bytes, at most {max_bytes} are read.", remedy="Cut it into several splits."
        )


def read_tag_text(path: Path, *, max_bytes: int = MAX_TAG_BYTES) -> str:
    """Read a file of tags as text, with or without a byte order mark.

    Raises:
        DataError: Missing, empty, too large or not UTF-8; the file is named.
    """
    check_tag_file(path, max_bytes=max_bytes)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return file.read()
    except UnicodeDecodeError:
        raise DataError(f"'{path}' is not UTF-8.", remedy="Save it in UTF-8.") from None
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error}.", remedy="Make it readable.") from None


def refuse_empty(path: Path, rows: list[TaggedImage]) -> list[TaggedImage]:
    """Return the images that a file lists.

    Raises:
        DataError: There are none.
    """
    if not rows:
        raise DataError(f"'{path}' lists no image.", remedy="List each image with its tags.")
    return rows
