"""`ktse recipes`: the list, and a printed recipe that can be run again."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from ktse.cli.main import app
from ktse.config import Recipe
from ktse.overrides import setting_names
from ktse.recipes import all_recipes, load_recipe


def test_every_recipe_is_listed() -> None:
    printed = CliRunner().invoke(app, ["recipes"]).stdout
    listed = [line.split()[0] for line in printed.splitlines()[1:]]
    assert listed == list(all_recipes())


@pytest.mark.parametrize("sources", [False, True], ids=["plain", "with sources"])
@pytest.mark.parametrize("name", ["demo", "voc12/published"])
def test_printed_recipe_is_the_recipe(name: str, sources: bool, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["recipes", name, *(["--sources"] if sources else [])])
    file = tmp_path / "mine.yaml"
    file.write_text(result.stdout, encoding="utf-8")
    assert load_recipe(file) == load_recipe(name)
    assert Recipe.model_validate(yaml.safe_load(result.stdout)) == load_recipe(name)


def test_sources_explain_every_setting() -> None:
    lines = CliRunner().invoke(app, ["recipes", "voc12/full", "--sources"]).stdout.splitlines()
    explained = [index for index, line in enumerate(lines) if line.lstrip().startswith("# default ")]
    assert len(explained) == len(list(setting_names()))
    assert all(lines[index].rstrip().endswith(")") and not lines[index].rstrip().endswith("()") for index in explained)
    assert "  # default 0.05 (published code, not in the paper (3.4 #7, #17))" in lines
    assert any(line.startswith("  # side of a training crop [px]") for line in lines)


def test_unknown_recipe_is_one_line_with_the_near_name() -> None:
    result = CliRunner().invoke(app, ["recipes", "voc12/ful"])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "'voc12/full'" in result.stderr


def test_sources_without_a_recipe_are_refused() -> None:
    result = CliRunner().invoke(app, ["recipes", "--sources"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "ktse recipes NAME --sources" in result.stderr
