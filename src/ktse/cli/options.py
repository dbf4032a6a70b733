"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ktse.config import Recipe

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")]
DataOption = Annotated[Path | None, typer.Option("--data", metavar="PATH", help="Folder of the data set.")]
OutOption = Annotated[Path, typer.Option("--out", metavar="RUN", help="Run directory; made, or gone on with.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting; may be given several times."),
]
RecipeOption = Annotated[
    str | None, typer.Option("--recipe", metavar="NAME", help="Recipe by name or file; else that of the run directory.")
]


def chosen_recipe(recipe: str | None, overrides: list[str] | None, *, run: Path | None = None) -> Recipe:
    """Return the recipe that a command asks for, with its changes.

    Args:
        recipe: Name or file of a recipe; None for the one that the run directory holds.
        overrides: Texts `section.key=value`.
        run: Run directory.

    Raises:
        InputError: No recipe given and none in the run directory.
        RecipeError: An unknown recipe or setting, or a value that a setting refuses.
    """
    from ktse.errors import InputError
    from ktse.overrides import apply_overrides
    from ktse.recipes import load_recipe

    if recipe is None:
        kept = (run or Path()) / "recipe.yaml"
        if not kept.is_file():
            raise InputError(f"no run at '{run}' (it would hold recipe.yaml).", remedy="Begin one with --recipe NAME.")
        return apply_overrides(load_recipe(kept), overrides or [])
    return apply_overrides(load_recipe(recipe), overrides or [])
