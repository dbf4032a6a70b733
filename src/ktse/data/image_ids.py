"""The id of an image: its path below the image folder without ending, spelt so that every file system takes it."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

from ktse.errors import DataError

TWO_OF_ONE_ID = (
    "List each image once, and rename one of two that differ only in their ending or in upper and lower case."
)
"""What to do about two images whose results would be one file."""

# What some file system minds: % (the escape itself), reserved signs, control characters, bytes that are no text,
# a dot or space at the end of a name, and Windows' names of devices.
_MINDED = re.compile(
    r"""[%<>:"\\|?*\x00-\x1f\x7f\ud800-\udfff]"""
    r"""|[ .](?=/|\Z)"""
    r"""|(?<![^/])(?i:[capnl])(?=(?i:(?<=c)on|(?<=p)rn|(?<=a)ux|(?<=n)ul|(?<=c)om\d|(?<=l)pt\d)(?:[./]|\Z))"""
)


def image_id(path: str) -> str:
    """Return the id of an image.

    Args:
        path: Path below the image folder, parts separated by `/`.

    Returns:
        The path without ending, percent-escaped where a file system would mind; `/` and letters of any script stay.

    Raises:
        DataError: The path leads out of the image folder.

    Example:
        >>> image_id("2023/street 7.jpg"), image_id("cells: 50%.png"), image_id("con.jpg")
        ('2023/street 7', 'cells%3A 50%25', '%63on')
    """
    return _MINDED.sub(_escape, str(path_below(path).with_suffix("")))


def spelling_of_files(id_: str) -> str:
    """Return the same text for all ids that are one file to some system: in letters of another case, or accents apart.

    Example:
        >>> spelling_of_files("Street/Caf\u00e9") == spelling_of_files("street/CAFE\u0301")
        True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", id_).casefold())


def share(id_: str, other: str) -> str:
    """Say what two images have in common whose results would be one file.

    Example:
        >>> share("a", "a"), share("a", "A")
        ("share the id 'a'", "have the ids 'a' and 'A', one and the same file on some systems")
    """
    if id_ == other:
        return f"share the id '{id_}'"
    return f"have the ids '{id_}' and '{other}', one and the same file on some systems"


def path_below(path: str) -> PurePosixPath:
    """Return a path as one that stays below its root, `./` and doubled slashes taken out.

    Raises:
        DataError: It is absolute, goes up by `..`, or names nothing.

    Example:
        >>> path_below("./a//b.jpg")
        PurePosixPath('a/b.jpg')
    """
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts or not relative.name:
        raise DataError(f"image path '{path}' leads out of the data set.", remedy="Give paths below the image folder.")
    return relative


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match.group().encode("utf-8", "surrogateescape"))
