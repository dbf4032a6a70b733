"""`ktse export`: the ending of the file says what is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ktse
from ktse.artifacts import RunDirectory
from ktse.cli.main import app
from ktse.segmentation.segmenter import Segmenter, build_network
from ktse.segmentation.segmenter_file import write_segmenter
from ktse.segmentation.train import segmenter_file


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Make a run directory with an untrained segmenter."""
    recipe, classes = ktse.load_recipe("demo"), ktse.Shapes("val", count=1).classes
    network = build_network(recipe.segmentation, num_labels=classes.num_labels, weights=None)
    write_segmenter(segmenter_file(RunDirectory(tmp_path / "run")), Segmenter(network.eval(), classes, recipe))
    return tmp_path / "run"


def test_bundle_predicts_as_the_run(run: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", str(run), "--out", str(tmp_path / "shapes.safetensors")])
    assert result.exit_code == 0, result.output
    image = ktse.Shapes("val", count=1).image(0)
    bundle = ktse.load(tmp_path / "shapes.safetensors")
    assert bundle.classes.names == ktse.Shapes("val", count=1).classes.names
    assert np.array_equal(bundle.predict(image), ktse.load(run).predict(image))


def test_onnx_is_the_default(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []
    monkeypatch.setattr("ktse.export.onnx.export_onnx", lambda model, path: written.append(path))
    result = CliRunner().invoke(app, ["export", str(run)])
    assert written == [run / "segmenter.onnx"]
    assert result.stdout == f"written: {run / 'segmenter.onnx'}\n"


def test_unknown_ending_names_those_that_are_known(run: Path) -> None:
    result = CliRunner().invoke(app, ["export", str(run), "--out", "model.onx"])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "'.onnx'" in result.stderr


def test_run_without_segmenter_is_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", str(tmp_path)])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
