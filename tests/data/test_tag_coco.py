from __future__ import annotations

from typing import Any

import pytest

from ktse.data.coco import COCO14
from ktse.data.tag_coco import coco_tags, is_coco
from ktse.errors import DataError


def document() -> dict[str, Any]:
    return {
        "images": [{"id": 9, "file_name": "deep/a.jpg"}, {"id": "x", "file_name": "b.jpg"}],
        "categories": [{"id": 90, "name": " cat "}, {"id": 1, "name": "dog"}, {"id": 7, "name": "unused"}],
        "annotations": [
            {"image_id": 9, "category_id": 90, "bbox": [0, 0, 1, 1]},
            {"image_id": 9, "category_id": 1, "segmentation": [[0, 0, 1, 1, 2, 2]]},
            {"image_id": 9, "category_id": 90, "iscrowd": 1},
        ],
    }


def test_only_the_class_of_an_annotation_counts() -> None:
    rows = coco_tags(document())
    assert [(row.image, row.tags) for row in rows] == [("deep/a.jpg", ("cat", "dog")), ("b.jpg", ())]


@pytest.mark.parametrize(
    ("part", "entry"),
    [
        ("annotations", {"image_id": 9, "category_id": 2}),
        ("annotations", {"image_id": 8, "category_id": 1}),
        ("annotations", 7),
        ("images", {"id": 3}),
        ("images", {"id": [3], "file_name": "c.jpg"}),
        ("categories", {"id": 3}),
    ],
    ids=["no category", "no image", "number", "no file", "list for id", "no name"],
)
def test_what_does_not_fit_together_is_refused(part: str, entry: Any) -> None:
    broken = document()
    broken[part].append(entry)
    assert is_coco(broken)
    with pytest.raises(DataError, match="do not fit together"):
        coco_tags(broken)


@pytest.mark.parametrize("content", [[], 7, {"images": []}, {"images": [], "annotations": {}, "categories": []}])
def test_other_documents(content: Any) -> None:
    assert not is_coco(content)


def test_the_same_tags_as_the_reader_of_coco(shared_data: Any) -> None:
    import json

    dataset = COCO14(shared_data / "coco_tiny", "val")
    content = json.loads(next((shared_data / "coco_tiny" / "annotations").glob("instances_val*.json")).read_bytes())
    names = [{dataset.classes.names[index] for index in tags.nonzero()[0]} for tags in dataset.tags]
    assert [set(row.tags) for row in coco_tags(content)] == names
