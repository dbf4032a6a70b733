"""Images and CAMs are read together, and one that is wrong does not stop the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ktse.artifacts import RunDirectory
from ktse.errors import DataError
from ktse.refinement.unrefined import cams_key, read_all, read_unrefined


def test_an_image_comes_with_its_cams(memory: Any, run: RunDirectory, cams: Any) -> None:
    item = read_unrefined(memory, 1, run=run)
    assert item.id == "deep/1"
    np.testing.assert_array_equal(item.image, memory.image(1))
    np.testing.assert_array_equal(item.cams.scores, cams(1).scores)


def test_wrong_cams_are_named(memory: Any, run: RunDirectory, wrong_cams: tuple[Path, str]) -> None:
    path, message = wrong_cams
    with pytest.raises(DataError, match=message) as caught:
        read_unrefined(memory, 1, run=run)
    assert str(path) in str(caught.value)


def test_the_others_are_read_and_the_errors_are_told(without_image: Any, run: RunDirectory) -> None:
    run.cams("deep/3").unlink()
    faults: list[DataError] = []
    read = [item.id for item in read_all(without_image(1), range(4), run=run, faults=faults)]
    assert read == ["deep/0", "deep/2"]
    first, second = map(str, faults)
    assert "no image 'deep/1.jpg'" in first
    assert str(run.cams("deep/3")) in second


def test_key_of_the_cams(run: RunDirectory, tmp_path: Path) -> None:
    assert cams_key(run) == "key of the CAMs"
    with pytest.raises(DataError, match="Run localize"):
        cams_key(RunDirectory(tmp_path / "empty"))
