from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ktse.data.image_io import write_label_map
from ktse.errors import DataError
from ktse.evaluation.label_maps import as_folder, refuse_gaps

MASK = np.zeros((8, 9), np.uint8)


def test_a_folder_is_itself_and_an_archive_is_one_for_a_while(tmp_path: Path) -> None:
    write_label_map(tmp_path / "maps" / "a.png", MASK)
    with as_folder(tmp_path / "maps", ["a"]) as folder:
        assert folder == tmp_path / "maps"
    with zipfile.ZipFile(tmp_path / "maps.zip", "w") as file:
        file.write(tmp_path / "maps" / "a.png", "deep/er/a.png")
    with as_folder(tmp_path / "maps.zip", ["a", "b"]) as folder:
        assert [path.name for path in folder.iterdir()] == ["a.png"]
    assert not folder.exists()
    odd = pytest.raises(DataError, match=r"^'.*/maps\.zip/a\.png' is odd\.$")
    with odd, as_folder(tmp_path / "maps.zip", ["a"]) as folder:
        raise DataError(f"'{folder / 'a.png'}' is odd.")
    with pytest.raises(DataError, match="neither a folder nor an archive"), as_folder(tmp_path / "x", []):
        pass


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        ([0, 1, 2, 3, 4, 5], None),
        ([0, 1, 2, 3, 4], None),
        ([1, 2, 3, 4], "lacks the label maps of 1 of the 6 images of memory train: part/000. Make the masks of all"),
        ([4], "lacks the label maps of 4 of the 6 images of memory train: part/000, part/001, part/002 and 1 more"),
        ([], "no label map of the 6 images of memory train; 'part/000.png' would be the first. Make the masks first"),
    ],
    ids=["all", "one without a mask is missing", "one", "most", "none"],
)
def test_what_is_missing_is_named_and_counted(
    tmp_path: Path, in_memory: Any, there: list[int], missing: str | None
) -> None:
    dataset = in_memory([MASK] * 5 + [None])
    for index in there:
        write_label_map(tmp_path / f"{dataset.ids[index]}.png", MASK)
    if missing is None:
        refuse_gaps(dataset, tmp_path, stage="masks")
        return
    with pytest.raises(DataError, match=missing):
        refuse_gaps(dataset, tmp_path, stage="masks")


def test_a_folder_within_is_proposed(tmp_path: Path, in_memory: Any) -> None:
    dataset = in_memory([MASK])
    write_label_map(tmp_path / "inner" / f"{dataset.ids[0]}.png", MASK)
    with pytest.raises(DataError, match=r"Give '.*/inner'\.$"):
        refuse_gaps(dataset, tmp_path, stage="masks")


def test_data_without_masks_are_another_error(tmp_path: Path, in_memory: Any) -> None:
    refuse_gaps(in_memory([None]), tmp_path, stage="masks")
