from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from ktse.data.classes import COCO_CLASSES
from ktse.data.coco_annotations import read_instances, read_outlines
from ktse.errors import DataError

NOT_USED = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
NUMBERS = [number for number in range(1, 91) if number not in NOT_USED]


def official(images: int, objects: int, points: int = 4) -> dict[str, Any]:
    """Return annotations with all the fields of COCO's own, in their order; image 1 has none."""
    chance = random.Random(0)
    return {
        "info": {"description": "COCO 2014 Dataset", "version": "1.0", "year": 2014},
        "images": [
            {
                "license": 5,
                "file_name": f"COCO_train2014_{number:012}.jpg",
                "coco_url": f"http://images.example/train2014/COCO_train2014_{number:012}.jpg",
                "height": 480,
                "width": 640,
                "date_captured": "2013-11-14 16:28:13",
                "id": number,
            }
            for number in range(1, images + 1)
        ],
        "licenses": [{"url": "http://licenses.example/by/2.0/", "id": 4, "name": "Attribution License"}],
        "annotations": [
            {
                "segmentation": [[round(480 * chance.random(), 2) for _ in range(2 * points)]],
                "area": 54652.9,
                "iscrowd": 0,
                "image_id": chance.randint(2, images),
                "bbox": [116.95, 305.86, 285.3, 266.03],
                "category_id": chance.choice(NUMBERS),
                "id": 100 + number,
            }
            for number in range(objects)
        ],
        "categories": [
            {"supercategory": "thing", "id": number, "name": name}
            for number, name in zip(NUMBERS, COCO_CLASSES.names, strict=True)
        ],
    }


def write(folder: Path, content: Any) -> Path:
    path = folder / "instances_train2014.json"
    path.write_text(json.dumps(content))
    return path


def test_official_layout(tmp_path: Path) -> None:
    content = official(images=5, objects=40)
    instances = read_instances(write(tmp_path, content))
    assert instances.classes == COCO_CLASSES
    assert (instances.class_of[1], instances.class_of[13], instances.class_of[90]) == (0, 11, 79)
    assert instances.numbers == (1, 2, 3, 4, 5)
    assert str(instances.files[4]) == "COCO_train2014_000000000005.jpg"
    assert set(instances.sizes) == {(480, 640)}
    for number, row in zip(instances.numbers, instances.tags, strict=True):
        there = {entry["category_id"] for entry in content["annotations"] if entry["image_id"] == number}
        assert {NUMBERS[k] for k in row.nonzero()[0]} == there
    assert not instances.tags[0].any()


def test_order_of_the_sections_does_not_matter(tmp_path: Path) -> None:
    content = official(images=5, objects=40)
    there = read_instances(write(tmp_path, content))
    back = read_instances(write(tmp_path, dict(reversed(content.items()))))
    assert (there.tags == back.tags).all()
    assert there.files == back.files


def test_outlines_are_kept_to_the_last_digit_and_crowds_are_not(tmp_path: Path) -> None:
    content = official(images=3, objects=9)
    content["annotations"][2]["iscrowd"] = 1
    content["annotations"][3]["segmentation"] = {"size": [480, 640], "counts": "abc"}
    del content["annotations"][4]["segmentation"]
    content["annotations"][5]["segmentation"] = [["x"]]
    path = write(tmp_path, content)
    objects = read_outlines(path, read_instances(path).class_of)
    for number in (1, 2, 3):
        entries = [entry for entry in content["annotations"] if entry["image_id"] == number and not entry["iscrowd"]]
        assert len(objects.get(number, ())) == len(entries)
        for (label, outline), entry in zip(objects.get(number, ()), entries, strict=True):
            assert NUMBERS[label - 1] == entry["category_id"]
            plain = entry.get("segmentation")
            assert outline == plain if not isinstance(plain, list) else [[*part] for part in outline] == plain


def test_memory_stays_near_the_size_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, official(images=300, objects=2000, points=40))
    size = path.stat().st_size
    assert size > 1e6
    peaks = []
    for read in (read_instances, lambda path: json.loads(path.read_text())):
        tracemalloc.start()
        read(path)
        peaks.append(tracemalloc.get_traced_memory()[1] / size)
        tracemalloc.stop()
    assert peaks[0] < 2.6  # bytes and text while one becomes the other, and what is kept
    assert peaks[1] > 1.5 * peaks[0]


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ([{"image_id": [1], "category_id": 1}], "TypeError"),
        ([{"image_id": 1, "category_id": 12}], "KeyError: 12"),
        ([[1, 2]], "ValueError"),
    ],
    ids=["odd id", "unknown category", "no object"],
)
def test_outlines_of_other_layouts(tmp_path: Path, annotations: Any, message: str) -> None:
    path = write(tmp_path, {"annotations": annotations})
    with pytest.raises(DataError, match=rf"instances_train2014\.json' is not laid out as COCO.*{message}"):
        read_outlines(path, {1: 0})


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json' cannot be read"):
        read_instances(tmp_path / "none.json")
