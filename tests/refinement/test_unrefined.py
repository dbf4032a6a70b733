"""Images and CAMs are read together, and one that is wrong does not stop the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ktse.artifacts import RunDirectory
from ktse.errors import DataError, InputError
from ktse.refinement.unrefined import Failures, cams_key, read_all, read_unrefined


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
    failures = Failures()
    read = [item.id for item in read_all(without_image(1), range(4), run=run, failures=failures)]
    assert read == ["deep/0", "deep/2"]
    with pytest.raises(DataError, match=r"no image 'deep/1\.jpg'.*So do 1 other images\. The rest is done and kept"):
        failures.raise_any()


def test_without_failures_nothing_is_raised() -> None:
    Failures().raise_any()


def test_what_is_not_about_an_image_is_not_kept_back() -> None:
    with pytest.raises(InputError, match="disk full"), Failures().noted():
        raise InputError("disk full.")


def test_key_of_the_cams(run: RunDirectory, tmp_path: Path) -> None:
    assert cams_key(run) == "key of the CAMs"
    with pytest.raises(DataError, match="Run localize"):
        cams_key(RunDirectory(tmp_path / "empty"))
