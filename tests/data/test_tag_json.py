from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ktse.data.tag_json import read_json_tags, read_jsonl_tags
from ktse.errors import DataError

COCO = {
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "categories": [{"id": 5, "name": "cat"}],
    "annotations": [{"image_id": 1, "category_id": 5}],
}
TASK = {
    "data": {"image": "a.jpg"},
    "annotations": [{"result": [{"type": "choices", "value": {"choices": ["cat"]}}]}],
}


def write(folder: Path, content: Any, name: str = "train.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "content",
    [[{"image": "a.jpg", "tags": ["cat"], "note": 3}], [{"image": " a.jpg ", "tags": "cat"}], {"a.jpg": ["cat"]}, COCO,
     [TASK]],
    ids=["list", "text", "object", "coco", "label studio"],
)  # fmt: skip
def test_every_layout(tmp_path: Path, content: Any) -> None:
    (row,) = read_json_tags(write(tmp_path, content))
    assert (row.image, row.tags) == ("a.jpg", ("cat",))


def test_lines(tmp_path: Path) -> None:
    lines = '\ufeff{"image": "a.jpg", "tags": ["cat", "cat", " dog"]}\r\n\r\n{"image": "b.jpg", "tags": []}'
    rows = read_jsonl_tags(write(tmp_path, lines, "train.jsonl"))
    assert [(row.image, row.tags, row.place) for row in rows] == [
        ("a.jpg", ("cat", "dog"), "line 1"),
        ("b.jpg", (), "line 3"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("9" * 10_000, "is not JSON"),
        ("[]", "lists no image"),
        ("{}", "lists no image"),
        ("7", "expected in a list or an object, got int"),
        ("[7]", "entry 1: got int, expected image and tags"),
        ('[{"image": "a.jpg", "tags": []}, {"image": "b.jpg", "labels": []}]', "entry 2: got image, labels"),
        ('[{"image": 7, "tags": []}]', "entry 1: image is 7, expected a path"),
        ('[{"image": "", "tags": []}]', 'entry 1: image is "", expected a path'),
        ('{"a.jpg": [1]}', "entry 'a.jpg': tags are not a list of names"),
        ('{"a.jpg": null}', "entry 'a.jpg': tags are not a list of names"),
        ({**COCO, "annotations": [{"image_id": 2, "category_id": 5}]}, "do not fit together"),
        ([{"image": "/data/upload/1/0a1b2c3d-a.jpg", "id": 1, "choice": "cat"}], "as JSON, not JSON-MIN"),
        ([{"image": "a.jpg", "tags": "cat", "id": 1, "annotator": 1, "annotation_id": 2}], "JSON-MIN .it has annotat"),
        ([TASK, {"data": {}, "annotations": [{"result": []}]}], "task 2 is not laid out"),
    ],
    ids=["cut", "deep", "huge number", "empty list", "empty object", "number", "numbers", "no tags", "image a number",
         "image empty", "tags numbers", "tags null", "coco", "json-min", "json-min with tags", "label studio"],
)  # fmt: skip
def test_faults_are_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_json_tags(write(tmp_path, content))
    assert str(caught.value).count("train.json") == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"image": "a.jpg", "tags": []}\n{"image": ', "train.jsonl', line 2 is not JSON"),
        ('{"image": "a.jpg"}', "train.jsonl', line 1: got image, expected image and tags"),
        ("\n", "lists no image"),
    ],
    ids=["cut", "no tags", "blank"],
)
def test_faults_of_lines_are_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_jsonl_tags(write(tmp_path, content, "train.jsonl"))
