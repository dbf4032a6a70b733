"""What a recipe for a row of the paper says of itself: what it is, its cost, and the commands that make the row."""

from __future__ import annotations

from typing import Literal

from ktse.config import LocalizationSettings, Recipe, replace

Reach = Literal["seeds", "masks", "predictions"]
"""What a row scores: its run ends there."""

NOT_MEASURED = "hours not measured: it was not run by us"


def described(recipe: Recipe, what: str, *, reach: Reach, images: int, data: str, table: str) -> Recipe:
    """Return a recipe with its summary: a line that says what it is, then its cost, then its commands.

    Args:
        recipe: The finished recipe.
        what: The first line; lists show it alone.
        reach: What the row scores.
        images: Training images.
        data: Folder of the data set, as the command has it.
        table: Name of the table, as `ktse evaluate --against` takes it.
    """
    cost = f"Cost: {cost_in_words(recipe, reach=reach, images=images)}."
    return replace(recipe, summary="\n".join([what, cost, *commands(recipe.name, reach=reach, data=data, table=table)]))


def cost_in_words(recipe: Recipe, *, reach: Reach, images: int) -> str:
    """Say how many steps a run trains up to what it scores.

    Example:
        >>> cost_in_words(Recipe(), reach="masks", images=10_582)  # REFERENCE 2.2, 5.5
        'localizer 33,050 steps, IRN 990 steps; hours not measured: it was not run by us'
    """
    irn, segmenter = recipe.refinement.irn, recipe.segmentation
    parts = [f"localizer {localizer_steps(recipe.localization, images):,} steps"]
    if reach != "seeds" and "irn" in recipe.refinement.steps:
        parts.append(f"IRN {irn.epochs * (images // irn.batch_size):,} steps")
    if reach == "predictions":
        networks = " of two networks" if segmenter.method == "co_training" else ""
        parts.append(f"segmenter {segmenter.epochs * (images // segmenter.batch_size):,} steps{networks}")
    return f"{', '.join(parts)}; {NOT_MEASURED}"


def localizer_steps(settings: LocalizationSettings, images: int) -> int:
    """Return the steps of both phases of the localizer; what is left of an epoch is dropped.

    Example:
        >>> localizer_steps(LocalizationSettings(), 10_582)  # REFERENCE 2.2
        33050
    """
    warm_up = settings.warm_up_epochs * (images // settings.warm_up_batch_size)
    return warm_up + (settings.epochs - settings.warm_up_epochs) * (images // settings.batch_size)


def commands(name: str, *, reach: Reach, data: str, table: str) -> list[str]:
    """Return the commands that make a row, with RUN for the run directory: no stage beyond what it scores.

    Example:
        >>> commands("voc12/table3", reach="predictions", data="VOC2012", table="table3")[0]
        'ktse run voc12/table3 --data VOC2012 --out RUN'
    """
    evaluate = f"ktse evaluate RUN --data {data} --against {table}"
    if reach == "predictions":
        return [f"ktse run {name} --data {data} --out RUN", evaluate]
    refine = [f"ktse refine RUN --data {data}"] if reach == "masks" else []
    train = f"ktse train localizer RUN --recipe {name} --data {data}"
    return [train, f"ktse localize RUN --data {data}", *refine, evaluate]
