"""`ktse evaluate`: scores of a run, or of label maps that anybody has made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ktse.cli.console import rank
from ktse.cli.options import DataOption, RecipeOption, SetOption, chosen_recipe
from ktse.cli.scores import show_placing, show_scores
from ktse.cli.weights import MASKS
from ktse.errors import InputError, RecipeError

if TYPE_CHECKING:
    from ktse.config import DataSettings
    from ktse.evaluation.published_tables import PublishedTable

EvaluatedArgument = Annotated[
    Path,
    typer.Argument(metavar="RUN|MASKS", help="Run directory; or label maps ID.png: a folder, a .zip, or ktse.masks."),
]
SplitOption = Annotated[
    str | None,
    typer.Option("--split", metavar="NAME", help="Split that MASKS are scored on; else that of the table, else train."),
]
AgainstOption = Annotated[
    str | None,
    typer.Option("--against", metavar="TABLE", help="Show the score among the rows of the paper: table1 ... table7."),
]


def evaluate(
    evaluated: EvaluatedArgument,
    data: DataOption = None,
    split: SplitOption = None,
    recipe: RecipeOption = None,
    changes: SetOption = None,
    against: AgainstOption = None,
) -> None:
    """Score seeds, pseudo masks and predictions of a run, or label maps from elsewhere; every score says how.

    Example: ktse evaluate runs/voc --data VOCdevkit/VOC2012 --against table3

    Example: ktse evaluate ktse.masks --data VOCdevkit/VOC2012 --split train --against table1
    """
    from ktse.evaluation.published import published_table

    table = None if against is None else published_table(against)  # before the scoring, which takes its time
    evaluated = _file_of(evaluated)
    if _are_label_maps(evaluated):
        _score_label_maps(evaluated, data, split, recipe, changes or [], table)
    elif split is not None:
        raise InputError(
            f"--split is for label maps, and '{evaluated}' holds none.",
            remedy="The splits of a run are settings: --set data.score_split=NAME, data.val_split=NAME.",
        )
    else:
        _score_run(evaluated, data, recipe, changes, table)


def _file_of(evaluated: Path) -> Path:
    """Return the local copy of label maps that are known by name; other paths are what they are."""
    if MASKS.get(str(evaluated)) != "labels" or evaluated.exists():
        return evaluated
    from ktse.nets.known_weights import find_weights

    return find_weights(str(evaluated))


def _score_run(
    run: Path, data: Path | None, recipe: str | None, changes: list[str] | None, table: PublishedTable | None
) -> None:
    if not run.is_dir():
        raise InputError(
            f"there is nothing at '{run}'.", remedy="Give a run directory, or a folder or .zip of label maps ID.png."
        )
    settings = chosen_recipe(recipe, changes, run=run)
    from ktse.evaluation.published import place
    from ktse.pipeline import run_recipe

    scores = run_recipe(settings, data=data, out=run, stages=["scores"])
    show_scores(scores, run)
    if table is not None and rank() == 0:
        show_placing(place(table, scores, settings))


def _score_label_maps(
    label_maps: Path,
    data: Path | None,
    split: str | None,
    recipe: str | None,
    changes: list[str],
    table: PublishedTable | None,
) -> None:
    from ktse.data.open import open_dataset
    from ktse.evaluation.published import place
    from ktse.evaluation.run import evaluate as evaluate_label_maps

    settings = _data_settings(data, recipe, changes)
    columns = [column for column in table.columns if column.stage != "seeds"] if table else []
    split = split or (columns[0].split if columns else settings.score_split)
    usual = "predictions" if split.startswith(settings.val_split) else "masks"  # COCO's is val2014, too
    stage = columns[0].stage if columns else usual
    truth = open_dataset(settings, data, split, full_size=stage == "predictions")  # masks have the reduced size
    score = evaluate_label_maps(truth, label_maps, stage=stage)
    show_scores([score])
    if table is not None:
        show_placing(place(table, [score], None, name=label_maps.resolve().name))


def _data_settings(data: Path | None, recipe: str | None, changes: list[str]) -> DataSettings:
    """Return how the data set with the truth is read: as a recipe says, or as its folder looks."""
    if others := [change for change in changes if not change.strip().startswith("data.")]:
        raise RecipeError(f"a score of label maps does not look at '{others[0]}'.", remedy="It looks at data.*.")
    if recipe is not None:
        return chosen_recipe(recipe, changes).data
    if data is None:
        raise InputError("which images are these label maps of?", remedy="Give the data set: --data PATH.")
    from ktse.config import Recipe
    from ktse.data.open import guess_settings
    from ktse.overrides import apply_overrides

    return apply_overrides(Recipe(data=guess_settings(data)), changes).data


def _are_label_maps(path: Path) -> bool:
    """Return whether a path is an archive, or a folder of PNGs that no run has made its own."""
    from ktse.artifacts import RunDirectory
    from ktse.artifacts.run_directory import STAGES

    if not path.is_dir():
        return path.is_file()
    run = RunDirectory(path)
    is_run = run.recipe.is_file() or any(run.stage(name).key is not None for name in STAGES)
    return not is_run and next(path.rglob("*.png"), None) is not None
