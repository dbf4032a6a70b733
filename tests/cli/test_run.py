"""`ktse run` and `ktse demo` ask the pipeline for the right thing; the pipeline itself has its own tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ktse.cli.main import app


def test_run_hands_over_recipe_data_and_changes(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    words = ["run", "folder/cpu", "--data", "photos", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, [*words, "--set", "localization.epochs=12", "--set", "data.max_images=5"])
    assert result.exit_code == 0, result.output
    (call,) = asked
    assert (call["data"], call["out"]) == (Path("photos"), tmp_path)
    assert (call["recipe"].name, call["recipe"].localization.epochs, call["recipe"].data.max_images) == (
        "folder/cpu",
        12,
        5,
    )


@pytest.mark.parametrize(
    ("words", "out", "quick"),
    [
        pytest.param([], "runs/demo", False, id="plain"),
        pytest.param(["--quick"], "runs/demo-quick", True, id="quick"),
        pytest.param(["--quick", "--out", "elsewhere"], "elsewhere", True, id="elsewhere"),
    ],
)
def test_demo_hands_over_its_place(asked: list[dict[str, Any]], words: list[str], out: str, quick: bool) -> None:
    assert CliRunner().invoke(app, ["demo", *words]).exit_code == 0
    assert asked == [{"out": Path(out), "quick": quick}]


def test_wrong_setting_ends_before_anything_runs(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["run", "demo", "--out", str(tmp_path / "x"), "--set", "localization.epoch=1"])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "'localization.epochs'" in result.stderr
    assert asked == []
    assert not (tmp_path / "x").exists()
