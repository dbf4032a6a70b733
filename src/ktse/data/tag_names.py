"""Tags from file names: `name [0110].png` has a digit for each class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from ktse.data.classes import Classes
from ktse.data.tag_files import TaggedImage
from ktse.errors import DataError

_DIGITS: Final = re.compile(r"\[([01]+)\]\Z")


def has_digits(image: PurePosixPath) -> bool:
    """Return whether a file name ends with the digits of its tags.

    Example:
        >>> has_digits(PurePosixPath("deep/a [01].png")), has_digits(PurePosixPath("a.png"))
        (True, False)
    """
    return _DIGITS.search(image.stem) is not None


def classes_of_digits(images: Sequence[PurePosixPath]) -> Classes:
    """Return class1 .. classK for names of K digits.

    Raises:
        DataError: As for `name_tags`.
    """
    digits = _digits_of(images)
    return Classes(tuple(f"class{number}" for number in range(1, len(digits[0]) + 1)))


def name_tags(images: Sequence[PurePosixPath], classes: Classes) -> list[TaggedImage]:
    """Return each image with the classes whose digit is 1.

    Raises:
        DataError: A name has no digits, or not one for each class.

    Example:
        >>> [row.tags for row in name_tags([PurePosixPath("a [01].png")], Classes(("cat", "dog")))]
        [('dog',)]
    """
    digits = _digits_of(images)
    if len(digits[0]) != classes.count:
        raise DataError(
            f"'{images[0]}' has {len(digits[0])} digits, expected one for each of {classes.count} classes.",
            remedy="List as many classes in classes.txt as there are digits in the names.",
        )
    return [
        TaggedImage(
            str(image),
            tuple(name for name, digit in zip(classes.names, flags, strict=True) if digit == "1"),
            f"file name '{image.name}'",
        )
        for image, flags in zip(images, digits, strict=True)
    ]


def _digits_of(images: Sequence[PurePosixPath]) -> list[str]:
    digits = []
    for image in images:
        found = _DIGITS.search(image.stem)
        if not found:
            raise DataError(
                f"'{image}' has no digits for its tags, as others have.", remedy="Name it like 'name [0110].png'."
            )
        digits.append(found.group(1))
        if len(digits[-1]) != len(digits[0]):
            raise DataError(
                f"'{image}' has {len(digits[-1])} digits for its tags, '{images[0]}' has {len(digits[0])}.",
                remedy="Give every name one digit for each class.",
            )
    return digits
