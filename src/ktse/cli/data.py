"""`ktse data check`: what is wrong with a data set, before anything is trained on it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ktse.cli.console import say
from ktse.cli.costs import cost_remarks, cost_table
from ktse.cli.options import SetOption, chosen_recipe
from ktse.errors import InputError

if TYPE_CHECKING:
    from rich.console import Group

    from ktse.config import Recipe
    from ktse.data.findings import CheckReport
    from ktse.run_cost import RunCost

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
        typer.Option("--recipe", metavar="NAME", help="Recipe to run: also its batches, time and memory."),
    ] = None,
    overrides: SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Find what would stop or spoil a training: unreadable images, unknown tags, classes without partners.

    With a recipe, also measure what each of its stages would take on this machine: time and memory.

    Ends with exit code 2 if training or scoring would fail.

    Example: ktse data check PHOTOS --recipe folder/cpu
    """
    if overrides and not recipe:
        raise InputError("--set changes a recipe, and none is given.", remedy="Add --recipe NAME.")
    chosen = chosen_recipe(recipe, overrides) if recipe else None
    from ktse.data.check import check as check_data

    found = check_data(path, recipe=chosen, track=_with_progress)
    cost = _cost_of(chosen, path) if chosen and not found.errors else None
    if as_json:
        say(json.dumps(found.to_json() | {"cost": cost.to_json() if cost else None}, indent=2, ensure_ascii=False))
    else:
        say(findings_table(found))
        if cost and chosen:
            say("")
            say(cost_table(cost, chosen.name))
            say("\n".join(cost_remarks(cost)))
    if found.errors:
        raise typer.Exit(2)


def findings_table(found: CheckReport) -> Group | str:
    """Return the findings as a table, errors first, or a sentence when there are none."""
    counted = ", ".join(f"{count} images in {split}" for split, count in found.images.items())
    counted = counted or "no split could be opened"
    if not found.findings:
        return f"{found.name}: {counted}; nothing wrong."
    from rich.console import Group
    from rich.table import Table

    table = Table(box=None, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")  # names of files and settings stay whole
    for finding in found.findings:
        what, where, remedy = map(_plain, (finding.what, _places(finding.where), finding.remedy))
        colour = _COLOURS[finding.severity]
        table.add_row(f"[{colour}]{finding.severity}[/]", f"[bold]{what}[/]\n{where}\n[dim]{remedy}[/]")
    return Group(_plain(f"{found.name}: {counted}"), table)


def _places(where: Sequence[str]) -> str:
    """Return the first places of a fault: names in one line, sentences in lines of their own."""
    more = len(where) - NAMED
    named = list(where[:NAMED])
    if not any(place.endswith(".") or "," in place for place in named):
        return ", ".join(named) + (f" and {more} more" if more > 0 else "")
    return "\n".join(named + ([f"and {more} more"] if more > 0 else []))


def _cost_of(recipe: Recipe, path: Path) -> RunCost:
    """Measure what a run takes, with a progress bar."""
    from ktse.engine.progress import progress
    from ktse.run_cost import count_parts, run_cost

    with progress("measuring stages", count_parts(recipe)) as report:
        return run_cost(recipe, data=path, report=report)


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
