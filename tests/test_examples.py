"""The examples do what they say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import ktse
from ktse.artifacts import RunDirectory
from ktse.config import replace
from ktse.data.check import check

EXAMPLES = Path(__file__).parents[1] / "examples"


def load_example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert all(f'load_example("{path.stem}")' in source for path in EXAMPLES.glob("*.py"))


def test_one_part() -> None:
    blurred, refined = load_example("one_part").blurred_and_refined(images=6)
    assert 50 < blurred < refined < 100


def test_make_folder(tmp_path: Path) -> None:
    load_example("make_folder").write_folder(tmp_path, images=12)
    made, drawn = ktse.Folder(tmp_path, "train"), ktse.Shapes("train", count=12, size=128)
    assert made.classes == drawn.classes
    assert made.ids == drawn.ids
    assert np.array_equal(made.tags, drawn.tags)
    assert np.array_equal(made.image(3), drawn.image(3))
    assert np.array_equal(made.mask(3), drawn.mask(3))
    assert check(tmp_path).errors == ()


def test_tags_to_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = replace(
        ktse.load_recipe("demo/quick"),
        localization={"warm_up_epochs": 1, "epochs": 2, "warm_up_batch_size": 4, "batch_size": 4, "crop_size": 48},
        segmentation={"epochs": 1, "batch_size": 4, "crop_size": 48},
    )
    run = RunDirectory(tmp_path)
    train, val = ktse.Shapes("train", count=8, size=48), ktse.Shapes("val", count=3, size=48)
    score = load_example("tags_to_masks").tags_to_masks(tiny, train, val, run)
    assert 0 <= score <= 100
    assert all(run.prediction(id_).is_file() for id_ in val.ids)
    assert capsys.readouterr().out.startswith(f"mIoU {score:.1f}: shapes-0 val, 3 images")
