from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ktse.errors import DataError

TAGS = [[1, 0], [0, 1], [1, 1]]


def test_sample_reads_the_mask_only_when_asked(array_dataset) -> None:
    mask = np.ones((20, 20), dtype=np.uint8)
    dataset = array_dataset(TAGS, masks={1: mask})
    sample = dataset.sample(1, with_mask=True)
    assert sample.id == "image1"
    assert sample.image.shape == (20, 20, 3)
    assert sample.tags.tolist() == [False, True]
    assert sample.mask is mask
    assert dataset.sample(1).mask is None
    assert dataset.sample(0, with_mask=True).mask is None


def test_tags_cannot_be_changed(array_dataset) -> None:
    with pytest.raises(ValueError, match="read-only"):
        array_dataset(TAGS).tags[0, 0] = False


def test_subset_keeps_order_and_everything_of_its_images(array_dataset) -> None:
    mask = np.zeros((20, 20), dtype=np.uint8)
    part = array_dataset(TAGS, masks={2: mask}).subset([2, 0])
    assert (len(part), part.ids, part.name, part.split, part.has_masks) == (
        2,
        ("image2", "image0"),
        "arrays",
        "train",
        True,
    )
    assert part.tags.tolist() == [[True, True], [True, False]]
    assert [int(part.image(index)[0, 0, 0]) for index in (0, 1)] == [2, 0]
    assert part.mask(0) is mask
    assert part.subset([1]).ids == ("image0",)


@pytest.mark.parametrize("indices", [[3], [-1]], ids=["beyond", "negative"])
def test_subset_refuses_indices_of_no_image(array_dataset, indices: list[int]) -> None:
    with pytest.raises(IndexError, match="of 3"):
        array_dataset(TAGS).subset(indices)


def test_subset_refuses_an_image_twice_and_none_at_all(array_dataset) -> None:
    with pytest.raises(DataError, match="share the id 'image1'"):
        array_dataset(TAGS).subset([1, 1])
    with pytest.raises(DataError, match="no images"):
        array_dataset(TAGS).subset([])


def test_tags_of_another_shape_are_refused(array_dataset) -> None:
    class Wrong(array_dataset):
        def __init__(self) -> None:
            super(array_dataset, self).__init__(
                name="wrong",
                split="train",
                classes=array_dataset(TAGS).classes,
                ids=["a"],
                tags=np.zeros((1, 3), dtype=bool),
                has_masks=False,
            )

    with pytest.raises(DataError, match=r"tags are \(1, 3\), expected \(images, classes\) = \(1, 2\)"):
        Wrong()


def test_fingerprint_follows_content(array_dataset) -> None:
    dataset = array_dataset(TAGS)
    assert dataset.fingerprint() == array_dataset(TAGS).fingerprint()
    others = [array_dataset([[1, 0], [0, 1], [0, 1]]), dataset.subset([0, 1]), dataset.subset([0, 2, 1])]
    assert len({dataset.fingerprint(), *(other.fingerprint() for other in others)}) == 4


def test_fingerprint_notices_a_replaced_image_and_not_a_copied_data_set(array_dataset, tmp_path: Path) -> None:
    def fingerprint(folder: str, contents: Sequence[bytes]) -> str:
        dataset = array_dataset(TAGS)
        (tmp_path / folder).mkdir(exist_ok=True)
        for number, content in enumerate(contents):
            (tmp_path / folder / f"{number}.jpg").write_bytes(content)
        dataset.file = lambda index: tmp_path / folder / f"{index}.jpg"
        return dataset.fingerprint()

    first = fingerprint("here", [b"1", b"22", b"333"])
    assert fingerprint("there", [b"1", b"22", b"333"]) == first
    assert fingerprint("here", [b"1", b"22", b"4444"]) != first
    assert fingerprint("lost", [b"1", b"22"]) != first, "a file that is not there is no reason to stop"


def test_subset_has_files_and_notes_of_the_whole(array_dataset) -> None:
    whole = array_dataset(TAGS)
    assert whole.subset([1]).file(0) is None
    assert whole.subset([1]).notes == whole.notes == ()
    whole.notes, whole.file = ("odd",), lambda index: Path(f"{index}.jpg")
    assert whole.subset([2, 0]).file(1) == Path("0.jpg")
    assert whole.subset([2, 0]).notes == ("odd",)
