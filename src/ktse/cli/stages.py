"""One stage of a run by itself: `ktse train`, `localize`, `refine`, `report`."""

from __future__ import annotations

from pathlib import Path

import typer

from ktse.cli.console import say
from ktse.cli.options import DataOption, RecipeOption, RunArgument, SetOption, chosen_recipe

train = typer.Typer(no_args_is_help=True, help="Train one of the two networks of a run.")


@train.command("localizer")
def train_localizer(
    run: RunArgument, data: DataOption = None, recipe: RecipeOption = None, changes: SetOption = None
) -> None:
    """Train the network that learns from tags where things are.

    Example: ktse train localizer runs/photos --recipe folder/cpu --data PHOTOS
    """
    run_stage("localizer", run, data, recipe, changes)
    say(f"localizer: {run / 'localizer'}{_origin(run, 'localizer')}")


@train.command("segmenter")
def train_segmenter(
    run: RunArgument, data: DataOption = None, recipe: RecipeOption = None, changes: SetOption = None
) -> None:
    """Train the network that learns from pseudo masks."""
    run_stage("segmenter", run, data, recipe, changes)
    say(f"segmenter: {run / 'segmenter'}{_origin(run, 'segmenter')}")


def localize(run: RunArgument, data: DataOption = None, recipe: RecipeOption = None, changes: SetOption = None) -> None:
    """Draw class activation maps and seeds with the trained localizer."""
    run_stage("cams", run, data, recipe, changes)
    say(f"maps: {run / 'cams'}; seeds: {run / 'seeds'}")


def refine(run: RunArgument, data: DataOption = None, recipe: RecipeOption = None, changes: SetOption = None) -> None:
    """Turn the class activation maps into pseudo masks."""
    run_stage("masks", run, data, recipe, changes)
    say(f"masks: {run / 'masks'}")


def report(run: RunArgument, data: DataOption = None, recipe: RecipeOption = None, changes: SetOption = None) -> None:
    """Write the page with pictures and scores of a run."""
    run_stage("report", run, data, recipe, changes)
    say(f"report: {run / 'report.html'}")


def _origin(run: Path, stage: str) -> str:
    """Say where a network is from that was not trained."""
    from ktse.artifacts import RunDirectory

    origin = RunDirectory(run).stage(stage).origin
    return f" (not trained, but {origin})" if origin else ""


def run_stage(stage: str, run: Path, data: Path | None, recipe: str | None, changes: list[str] | None) -> None:
    """Run one stage of a run directory."""
    settings = chosen_recipe(recipe, changes, run=run)
    from ktse.pipeline import run_recipe

    run_recipe(settings, data=data, out=run, stages=[stage])
