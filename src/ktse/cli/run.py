"""`ktse run` and `ktse demo`: every stage of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ktse.cli.options import DataOption, OutOption, SetOption, chosen_recipe
from ktse.cli.scores import show_scores


def run(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Name (see `ktse recipes`) or .yaml file.")],
    out: OutOption,
    data: DataOption = None,
    overrides: SetOption = None,
) -> None:
    """Run every stage of a recipe, or go on where an earlier run stopped.

    Example: ktse run folder/cpu --data PHOTOS --out runs/photos --set localization.epochs=12
    """
    settings = chosen_recipe(recipe, overrides)
    from ktse.pipeline import run_recipe

    show_scores(run_recipe(settings, data=data, out=out), out)


def demo(
    quick: Annotated[bool, typer.Option("--quick", help="Few images and epochs: that it runs, not how well.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="RUN", help="Run directory.")] = None,
) -> None:
    """Run the whole path on embedded drawings: nothing to download, minutes on two CPU cores."""
    from ktse.pipeline import demo as run_demo

    place = out or Path("runs/demo-quick" if quick else "runs/demo")
    show_scores(run_demo(place, quick=quick), place)
