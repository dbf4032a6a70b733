from __future__ import annotations

from pathlib import Path

import pytest

from ktse.data.tag_files import distinct, read_tag_text, refuse_empty, split_tags
from ktse.errors import DataError


@pytest.mark.parametrize(
    ("text", "tags"),
    [("", ()), (" ; ,|", ()), ("a", ("a",)), ("b; a |b,c", ("b", "a", "c"))],
    ids=["empty", "separators", "one", "all separators"],
)
def test_tags_are_split(text: str, tags: tuple[str, ...]) -> None:
    assert split_tags(text) == tags


def test_tags_of_a_list_keep_their_separators() -> None:
    assert distinct([" a;b ", "", "a;b", "c"]) == ("a;b", "c")


def test_text_is_read_without_its_mark(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes("\ufeffä\r\n".encode())
    assert read_tag_text(path) == "ä\r\n"


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    with pytest.raises(DataError, match=r"no file .*train\.csv"):
        read_tag_text(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_tag_text(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        read_tag_text(path)
    path.write_bytes(b"\xff\xff")
    with pytest.raises(DataError, match=r"is not UTF-8. Save it in UTF-8"):
        read_tag_text(path)
    path.write_bytes(b"a" * 11)
    with pytest.raises(DataError, match="has 11 bytes, at most 10"):
        read_tag_text(path, max_bytes=10)
    with pytest.raises(DataError, match="lists no image"):
        refuse_empty(path, [])


def test_an_unreadable_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_tag_text(tmp_path / ("x" * 5000))
