"""Which recipe a command works with."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktse.cli.options import chosen_recipe
from ktse.errors import InputError, RecipeError


def test_named_recipe_with_changes() -> None:
    recipe = chosen_recipe("demo/quick", ["localization.margin=0.2"])
    assert (recipe.name, recipe.localization.margin) == ("demo/quick", 0.2)


def test_recipe_of_the_run_directory(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: mine\nlocalization: {margin: 0.3}\n")
    recipe = chosen_recipe(None, ["localization.epochs=50"], run=tmp_path)
    assert (recipe.name, recipe.localization.margin, recipe.localization.epochs) == ("mine", 0.3, 50)


def test_named_recipe_counts_before_that_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: mine\n")
    assert chosen_recipe("demo", None, run=tmp_path).name == "demo"


def test_no_run_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no run at .*none.*--recipe NAME"):
        chosen_recipe(None, None, run=tmp_path / "none")


def test_typo_names_the_near_recipe() -> None:
    with pytest.raises(RecipeError, match="'folder/cpu'"):
        chosen_recipe("folder/cppu", None)
