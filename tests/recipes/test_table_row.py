"""What rows say of themselves: steps counted as REFERENCE 2.2, 5.5 and 6.4 count them, commands that parse."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from typer.main import get_command

from ktse.cli.main import app
from ktse.config import Recipe, replace
from ktse.evaluation.published import published_table
from ktse.recipes import all_recipes
from ktse.recipes.table_row import commands, cost_in_words, localizer_steps

ROWS = {name: recipe for name, recipe in all_recipes().items() if recipe.reproduces}


@pytest.mark.parametrize(
    ("reach", "steps"),
    [
        ("seeds", "localizer 33,050 steps;"),
        ("masks", "localizer 33,050 steps, IRN 990 steps;"),
        ("predictions", "IRN 990 steps, segmenter 66,100 steps of two networks;"),
    ],
)
def test_steps_of_the_published_schedule(reach: Any, steps: str) -> None:
    recipe = replace(Recipe(), segmentation={"epochs": 100})
    assert steps in cost_in_words(recipe, reach=reach, images=10_582)


def test_what_a_recipe_leaves_out_costs_nothing() -> None:
    plain = replace(Recipe(), refinement={"steps": ("par",)}, segmentation={"method": "plain"})
    words = cost_in_words(plain, reach="predictions", images=160)
    assert "IRN" not in words
    assert "networks" not in words
    assert localizer_steps(plain.localization, 160) == 10 * 20 + 30 * 10


def test_a_row_of_seeds_trains_no_segmenter() -> None:
    said = commands("a/row", reach="seeds", data="VOC", table="table6")
    assert said[0] == "ktse train localizer RUN --recipe a/row --data VOC"
    assert not any("refine" in line or "ktse run" in line for line in said)
    assert "ktse refine RUN --data VOC" in commands("a/row", reach="masks", data="VOC", table="table1")


@pytest.mark.parametrize("name", ROWS)
def test_a_row_says_what_it_is_its_cost_and_commands_that_parse(name: str) -> None:
    recipe = ROWS[name]
    what, cost, *lines = recipe.summary.splitlines()
    assert what.endswith(".") and len(what) <= 110
    assert cost.startswith("Cost: localizer ") and "not measured" in cost
    assert any(name in line for line in lines)
    command: Any = get_command(app)
    for line in lines:
        program, first, *words = shlex.split(line)
        assert program == "ktse"
        target = command.commands[first]
        if words[0] in getattr(target, "commands", {}):
            target, words = target.commands[words[0]], words[1:]
        target.make_context(first, words)
    table = published_table(shlex.split(lines[-1])[-1])
    assert f"Table {table.name[-1]}" in recipe.reproduces, "compared with the table that it reproduces"
    assert recipe.published_value in [value for row in table.rows for value in row.values] or name in (
        "voc12/full", "voc12/published", "voc12/paper",
    )  # fmt: skip
