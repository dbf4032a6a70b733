"""Each command on one stage asks the pipeline for that stage of the run."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from ktse.cli.main import app
from ktse.evaluation.protocol import Protocol
from ktse.evaluation.score import Score


@pytest.mark.parametrize(
    ("words", "stage", "made"),
    [
        (["train", "localizer"], "localizer", "localizer"),
        (["localize"], "cams", "cams"),
        (["refine"], "masks", "masks"),
        (["train", "segmenter"], "segmenter", "segmenter"),
        (["evaluate"], "scores", "nothing was scored"),
        (["report"], "report", "report.html"),
    ],
    ids=str,
)
def test_stage_commands_run_one_stage_of_the_run(
    asked: list[dict[str, Any]], tmp_path: Path, words: list[str], stage: str, made: str
) -> None:
    (tmp_path / "recipe.yaml").write_text("name: mine\n")
    result = CliRunner().invoke(app, [*words, str(tmp_path), "--data", "photos", "--set", "localization.margin=0.2"])
    assert result.exit_code == 0, result.output
    (call,) = asked
    assert (call["stages"], call["data"], call["out"]) == ([stage], Path("photos"), tmp_path)
    assert (call["recipe"].name, call["recipe"].localization.margin) == ("mine", 0.2)
    assert made in result.stdout


def test_a_run_is_shown_among_the_rows_of_the_paper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    protocol = Protocol(dataset="VOC 2012", split="val", images=1449)
    score = Score(stage="predictions", class_names=("cat",), matrix=np.array([[3, 1], [0, 4]]), protocol=protocol)
    pipeline = SimpleNamespace(run_recipe=lambda *_, **__: [score])
    monkeypatch.setitem(sys.modules, "ktse.pipeline", pipeline)
    (tmp_path / "recipe.yaml").write_text("name: mine\n")
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--against", "table3"])
    assert result.exit_code == 0, result.output
    own = next(line for line in result.stdout.splitlines() if line.startswith(">"))
    assert own.split() == [">", "mine", "I", "77.5"]
    assert "BECO [45]" in result.stdout
    without = CliRunner().invoke(app, ["evaluate", str(tmp_path)])
    assert "BECO" not in without.stdout


def test_unknown_table_is_refused_before_anything_is_scored(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: mine\n")
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--against", "table8"])
    assert (result.exit_code, asked) == (2, [])
    assert "no table 'table8'" in result.stderr
