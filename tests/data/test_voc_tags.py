from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ktse.data.classes import VOC_CLASSES
from ktse.data.voc_tags import MAX_XML_BYTES, tags_from_annotations, tags_from_masks
from ktse.errors import DataError
from reference.voc_tree import annotation

BOMB = '<!DOCTYPE a [<!ENTITY x "dog"><!ENTITY y "&x;&x;">]><annotation><object><name>&x;</name></object></annotation>'


def tags_of(folder: Path, content: str | bytes, *, difficult: bool = True) -> list[str]:
    data = content.encode() if isinstance(content, str) else content
    (folder / "a.xml").write_bytes(data)
    (row,) = tags_from_annotations(folder, ["a"], difficult=difficult)
    return [VOC_CLASSES.names[k] for k in np.flatnonzero(row)]


def test_all_classes_are_read_and_parts_are_not(tmp_path: Path) -> None:
    assert tags_of(tmp_path, annotation("a", [(name, False) for name in VOC_CLASSES.names])) == [*VOC_CLASSES.names]
    assert tags_of(tmp_path, annotation("a", [])) == []


def test_a_class_counts_if_any_of_its_objects_does(tmp_path: Path) -> None:
    content = annotation("a", [("dog", True), ("dog", False), ("cat", True)])
    assert tags_of(tmp_path, content) == ["cat", "dog"]
    assert tags_of(tmp_path, content, difficult=False) == ["dog"]


def test_objects_that_do_not_say_are_not_difficult(tmp_path: Path) -> None:
    content = "<annotation><object><name> dog </name></object></annotation>"
    assert tags_of(tmp_path, content, difficult=False) == ["dog"]


def test_rows_are_in_the_order_of_the_ids(tmp_path: Path) -> None:
    for id_, name in (("b", "bird"), ("a", "aeroplane")):
        (tmp_path / f"{id_}.xml").write_text(annotation(id_, [(name, False)]))
    assert np.argmax(tags_from_annotations(tmp_path, ["b", "a"]), axis=1).tolist() == [2, 0]


def test_a_missing_annotation_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no annotation '.*a\.xml'"):
        tags_from_annotations(tmp_path, ["a"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<annotation><object>", "cannot be read"),
        (b"", "cannot be read"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "cannot be read"),
        (b'<?xml version="1.0" encoding="klingon"?><annotation/>', "cannot be read"),
        (b"<annotation><object><name>dgo</name></object></annotation>", "unknown tag 'dgo'. Did you mean 'dog'"),
        (b"<annotation><object/></annotation>", "unknown tag ''"),
        (BOMB.encode(), "document type 'a'"),
        (('<?xml version="1.0" encoding="utf-16"?>' + BOMB).encode("utf-16"), "document type 'a'"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "document type 'a'"),
        (b"<annotation>" + b" " * MAX_XML_BYTES, "larger than 1048576 bytes"),
        (b"<a>" * 300_000, "cannot be read"),
    ],
    ids=[
        *("truncated", "empty", "picture", "unknown encoding", "unknown class", "no name", "entities"),
        *("entities in utf-16", "foreign file", "huge", "deep"),
    ],
)
def test_annotations_that_are_none(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        tags_of(tmp_path, content)
    assert "a.xml" in str(caught.value)


def test_tags_of_masks_leave_out_background_and_ignored_pixels() -> None:
    masks = {"a": np.array([[0, 255, 20], [1, 1, 0]]), "b": np.array([[0, 255]])}
    tags = tags_from_masks(["b", "a"], masks.get)
    assert [np.flatnonzero(row).tolist() for row in tags] == [[], [0, 19]]
    with pytest.raises(DataError, match="'c' has no mask"):
        tags_from_masks(["a", "c"], masks.get)
