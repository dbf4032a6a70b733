"""`ktse data check`: what is wrong with a data set, before anything is trained on it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ktse.cli.console import say
from ktse.cli.options import chosen_recipe

if TYPE_CHECKING:
    from rich.table import Table

    from ktse.config import Recipe
    from ktse.data.findings import CheckReport
    from ktse.localization.cost import Cost

NAMED = 3
"""Places of one fault that are named; the others are counted."""

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}

app = typer.Typer(no_args_is_help=True, help="Look at a data set.")


@app.callback()
def data() -> None:
    """Make `check` a command of its own although it is the only one."""


@app.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the data set.")],
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", metavar="NAME", help="Recipe to train with: also its batches, time and memory."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Find what would stop or spoil a training: unreadable images, unknown tags, classes without partners.

    With a recipe, also estimate what the training of its localizer takes on this machine.

    Ends with exit code 2 if training or scoring would fail.

    Example: ktse data check PHOTOS --recipe folder/cpu
    """
    chosen = chosen_recipe(recipe, None) if recipe else None
    from ktse.data.check import check as check_data

    found = check_data(path, recipe=chosen, track=_with_progress)
    cost = _cost(found, chosen) if chosen and not found.errors else None
    if as_json:
        say(json.dumps(found.to_json() | {"cost": _cost_as_json(cost)}, indent=2, ensure_ascii=False))
    else:
        say(findings_table(found))
        if cost:
            say(cost_sentence(cost))
    if found.errors:
        raise typer.Exit(2)


def findings_table(found: CheckReport) -> Table | str:
    """Return the findings as a table, errors first, or a sentence when there are none."""
    counted = ", ".join(f"{count} images in {split}" for split, count in found.images.items()) or "no images"
    if not found.findings:
        return f"{found.name}: {counted}; nothing wrong."
    from rich.table import Table

    table = Table(
        "", "what", "where", "remedy", title=_plain(f"{found.name}: {counted}"), title_justify="left", box=None
    )
    for finding in found.findings:
        more = len(finding.where) - NAMED
        where = ", ".join(finding.where[:NAMED]) + (f" and {more} more" if more > 0 else "")
        colour = _COLOURS[finding.severity]
        table.add_row(f"[{colour}]{finding.severity}[/]", *map(_plain, (finding.what, where, finding.remedy)))
    return table


def cost_sentence(cost: Cost) -> str:
    """Return what a training costs, and how that is known.

    Example:
        >>> from ktse.localization.cost import Cost
        >>> print(cost_sentence(Cost(seconds=5400, memory=3 * 2**30, whole_step=False, device="cpu")))
        Training of the localizer on this machine (cpu): about 1.5 hours and at least 3.0 GiB of memory;
        extrapolated from one image, reading of images not counted.
    """
    from_what = "measured on one step" if cost.whole_step else "extrapolated from one image"
    warning = ""
    if cost.device == "cpu" and cost.memory > (memory := _memory_of_machine()):
        warning = f"\nThis machine has {memory / 2**30:.1f} GiB: raise localization.micro_batches or lower crop_size."
    return (
        f"Training of the localizer on this machine ({cost.device}): about {_duration(cost.seconds)} and at least "
        f"{cost.memory / 2**30:.1f} GiB of memory;\n{from_what}, reading of images not counted.{warning}"
    )


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def _memory_of_machine() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cost(found: CheckReport, recipe: Recipe) -> Cost:
    from ktse.localization.cost import localizer_cost

    return localizer_cost(recipe, images=found.images[recipe.data.train_split], classes=len(found.classes))


def _cost_as_json(cost: Cost | None) -> dict[str, object] | None:
    from dataclasses import asdict

    return asdict(cost) if cost else None


def _plain(text: str) -> str:
    """Take brackets in names of files as they are, not as rich's markup."""
    from rich.markup import escape

    return escape(text)


def _with_progress(indices: range) -> Iterator[int]:
    """Go through the images with a progress bar."""
    from ktse.engine.progress import progress

    with progress("looking at images", len(indices)) as report:
        for index in indices:
            yield index
            report()
