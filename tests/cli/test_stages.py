"""Each command on one stage asks the pipeline for that stage of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ktse.artifacts import RunDirectory
from ktse.cli.main import app


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
    assert "not trained" not in result.stdout


def test_an_adopted_network_is_not_trained(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: mine\n")
    RunDirectory(tmp_path).stage("localizer").finish("k", origin="a.pth")
    result = CliRunner().invoke(app, ["train", "localizer", str(tmp_path)])
    assert result.stdout.endswith("(not trained, but a.pth)\n")
