from __future__ import annotations

from typing import Any

import pytest

from ktse.data.tag_label_studio import is_label_studio, label_studio_tags
from ktse.errors import DataError


def task(image: str, *annotations: dict[str, Any], key: str = "image") -> dict[str, Any]:
    return {"id": 3, "data": {key: image}, "annotations": list(annotations)}


def annotation(*results: tuple[str, list[str]], **more: Any) -> dict[str, Any]:
    return {"result": [{"type": kind, "value": {kind: labels, "x": 1.0}} for kind, labels in results], **more}


def test_choices_and_shapes_are_tags() -> None:
    every_kind = annotation(
        ("choices", ["cat"]), ("rectanglelabels", ["dog"]), ("polygonlabels", ["cow"]), ("brushlabels", ["cat", "hen"])
    )
    (row,) = label_studio_tags([task("a.jpg", every_kind)])
    assert row.tags == ("cat", "dog", "cow", "hen")
    assert row.place == "task 3"


def test_other_results_are_no_tags() -> None:
    others: dict[str, Any] = {
        "result": [{"type": "textarea", "value": {"text": ["x"]}}, {"from_id": "a", "to_id": "b"}]
    }
    assert label_studio_tags([task("a.jpg", others)])[0].tags == ()


def test_annotators_are_put_together_and_cancelled_ones_left_out() -> None:
    annotations = (
        annotation(("choices", ["cat"])),
        annotation(("choices", ["dog"])),
        annotation(("choices", ["cow"]), was_cancelled=True),
    )
    assert label_studio_tags([task("a.jpg", *annotations)])[0].tags == ("cat", "dog")


def test_tasks_without_annotation_say_nothing() -> None:
    cancelled = annotation(("choices", ["cow"]), was_cancelled=True)
    rows = label_studio_tags([task("a.jpg"), task("b.jpg", annotation()), task("c.jpg", cancelled)])
    assert [(row.image, row.tags) for row in rows] == [("b.jpg", ())]


@pytest.mark.parametrize(
    ("written", "image", "elsewhere"),
    [
        ("a.jpg", "a.jpg", ()),
        (
            "/data/upload/1/0a1b2c3d-a.jpg",
            "data/upload/1/0a1b2c3d-a.jpg",
            ("upload/1/0a1b2c3d-a.jpg", "1/0a1b2c3d-a.jpg", "0a1b2c3d-a.jpg", "a.jpg"),
        ),
        ("/data/local-files/?d=set/a%20b.jpg", "set/a b.jpg", ("a b.jpg",)),
        ("https://host.org/set/a%20b.jpg?key=1", "set/a b.jpg", ("a b.jpg",)),
        ("s3://bucket/a.jpg", "a.jpg", ()),
        ("/data/local-files/?d=../../a.jpg", "../../a.jpg", ()),
    ],
    ids=["plain", "upload", "local", "web", "bucket", "escape"],
)
def test_where_the_image_may_lie(written: str, image: str, elsewhere: tuple[str, ...]) -> None:
    (row,) = label_studio_tags([task(written, annotation())])
    assert (row.image, row.elsewhere) == (image, elsewhere)


def test_of_a_path_of_many_parts_the_last_ends_are_looked_for() -> None:
    folders = [f"folder{number}" for number in range(100)]
    (row,) = label_studio_tags([task("/".join([*folders, "a.jpg"]), annotation())])
    assert row.image == "/".join([*folders, "a.jpg"])
    assert row.elsewhere[-2:] == ("folder99/a.jpg", "a.jpg")
    assert row.elsewhere[0] == "/".join([*folders[-15:], "a.jpg"])
    assert len(row.elsewhere) == 16


def test_a_path_that_no_file_can_have_has_no_ends() -> None:
    (row,) = label_studio_tags([task("a/" * 3_000 + "a.jpg", annotation())])
    assert row.elsewhere == ()


def test_the_image_may_have_another_name() -> None:
    assert label_studio_tags([task("a.jpg", annotation(), key="photo")])[0].image == "a.jpg"


@pytest.mark.parametrize(
    "broken",
    [7, {"data": {"image": 7}, "annotations": [{"result": []}]}, {"data": {"image": "a"}, "annotations": [7]},
     {"data": {"image": "http://[a"}, "annotations": [{"result": []}]}, {"data": {"image": "a"}, "annotations": [{}]}],
    ids=["number", "image a number", "annotation a number", "no address", "no result"],
)  # fmt: skip
def test_other_layouts_are_refused(broken: Any) -> None:
    with pytest.raises(DataError, match="task 2 is not laid out as Label Studio's export"):
        label_studio_tags([task("a.jpg", annotation()), broken])


@pytest.mark.parametrize("content", [[], {}, [7], [{"data": {}}], 7])
def test_other_documents(content: Any) -> None:
    assert not is_label_studio(content)
