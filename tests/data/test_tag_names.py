from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from ktse.data.classes import Classes
from ktse.data.tag_names import classes_of_digits, has_digits, name_tags
from ktse.errors import DataError


def paths(*names: str) -> list[PurePosixPath]:
    return [PurePosixPath(name) for name in names]


@pytest.mark.parametrize(
    ("name", "digits"),
    [("a [01].png", True), ("a[1].tar.png", False), ("[0].png", True), ("a [012].png", False), ("a [].png", False),
     ("a [01] b.png", False)],
)  # fmt: skip
def test_what_counts_as_digits(name: str, digits: bool) -> None:
    assert has_digits(PurePosixPath(name)) is digits


def test_a_digit_for_each_class() -> None:
    images = paths("a [0110].png", "b [0000].png")
    assert classes_of_digits(images).names == ("class1", "class2", "class3", "class4")
    assert [row.tags for row in name_tags(images, Classes(("w", "x", "y", "z")))] == [("x", "y"), ()]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (paths("a [01].png", "b.png"), "'b.png' has no digits"),
        (paths("a [01].png", "b [011].png"), r"'b \[011\].png' has 3 digits for its tags, 'a \[01\].png' has 2"),
        (paths("a [011].png"), r"'a \[011\].png' has 3 digits, expected one for each of 2 classes"),
    ],
    ids=["none", "another number", "more than classes"],
)
def test_faults_are_named(images: list[PurePosixPath], message: str) -> None:
    with pytest.raises(DataError, match=message):
        name_tags(images, Classes(("cat", "dog")))
