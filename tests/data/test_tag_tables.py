from __future__ import annotations

from pathlib import Path

import pytest

from ktse.data.tag_tables import has_tag_columns, read_csv_tags
from ktse.errors import DataError


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "train.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("row", "tags"),
    [
        ("a.jpg,cat;dog", ("cat", "dog")),
        ("a.jpg,cat|dog", ("cat", "dog")),
        ('a.jpg,"cat,dog"', ("cat", "dog")),
        ("a.jpg,cat,dog", ("cat", "dog")),
        ("a.jpg, traffic light ;; dog ;", ("traffic light", "dog")),
        ("a.jpg,cat;cat", ("cat",)),
        ("a.jpg,", ()),
        ("a.jpg", ()),
        ('"a.jpg","cat"', ("cat",)),
    ],
    ids=["semicolon", "bar", "quoted comma", "cells", "spaces", "twice", "empty", "no cell", "quoted"],
)
def test_every_way_to_write_tags(tmp_path: Path, row: str, tags: tuple[str, ...]) -> None:
    rows = read_csv_tags(write(tmp_path, f"image,tags\n{row}\n"))
    assert [(entry.image, entry.tags, entry.place) for entry in rows] == [("a.jpg", tags, "line 2")]


@pytest.mark.parametrize(
    "content",
    [
        "image,tags\r\na.jpg,cat\r\n\r\nb.jpg,dog\r\n",
        "\ufeffimage,tags\na.jpg,cat\nb.jpg,dog",
        " Image , TAGS\na.jpg,cat\n,\nb.jpg,dog",
        "tags,note,image\ncat,;,a.jpg\ndog,,b.jpg",
        "image;tags\na.jpg;cat\nb.jpg;dog",
        "image|tags\na.jpg|cat\nb.jpg|dog",
        "image\ttags\na.jpg\tcat\nb.jpg\tdog",
        '"image";"tags"\n"a.jpg";"cat"\nb.jpg;dog',
    ],
    ids=["windows", "byte order mark", "capitals", "other columns", "semicolons", "bars", "tabs", "quoted header"],
)
def test_every_way_to_write_the_table(tmp_path: Path, content: str) -> None:
    path = write(tmp_path, content)
    assert [(entry.image, entry.tags) for entry in read_csv_tags(path)] == [("a.jpg", ("cat",)), ("b.jpg", ("dog",))]
    assert has_tag_columns(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n", "expected the header|is empty"),
        ("image,tags\n", "lists no image"),
        ("a.jpg,cat\nb.jpg,dog\n", "begins with 'a.jpg,cat', expected the header 'image,tags'"),
        ("image,tags\na.jpg,cat\n,dog\n", "line 3: no image"),
        (b"image,tags\n\xff\xfe.jpg,cat\n", "train.csv' is not UTF-8. Save it in UTF-8."),
        ("image,tags\n" + "x" * 200_000, "cannot be read"),
    ],
    ids=["empty", "blank", "header only", "no header", "no image", "not utf-8", "endless cell"],
)
def test_faults_are_named_with_file_and_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_csv_tags(write(tmp_path, content))
    assert "train.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("row", ["a.jpg;cat,dog", "a.jpg;cat|dog", "a.jpg;cat;dog"], ids=["comma", "bar", "cells"])
def test_tags_in_columns_parted_by_semicolons(tmp_path: Path, row: str) -> None:
    (entry,) = read_csv_tags(write(tmp_path, f"image;tags\n{row}\n"))
    assert (entry.image, entry.tags) == ("a.jpg", ("cat", "dog"))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*gone\.csv"):
        read_csv_tags(tmp_path / "gone.csv")


@pytest.mark.parametrize("content", ["", "name,size\na,1\n", b"\xff\xfe\x00"], ids=["empty", "other table", "binary"])
def test_other_tables_are_no_tags(tmp_path: Path, content: str | bytes) -> None:
    assert not has_tag_columns(write(tmp_path, content))
    assert not has_tag_columns(tmp_path / "gone.csv")
