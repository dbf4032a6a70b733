"""`ktse data check`: what is wrong with a data set, before anything is trained on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ktse.cli.console import say
from ktse.cli.options import chosen_recipe

if TYPE_CHECKING:
    from rich.table import Table

    from ktse.data.check import CheckReport

NAMED = 3
"""Places of one fault that are named; the others are counted."""

app = typer.Typer(no_args_is_help=True, help="Look at a data set.")


@app.callback()
def data() -> None:
    """Make `check` a command of its own although it is the only one."""


@app.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the data set.")],
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="NAME", help="Recipe whose data these are; else own images.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Find what would stop or spoil a training: unreadable images, unknown tags, classes without partners.

    Ends with exit code 2 if training or scoring would fail.

    Example: ktse data check PHOTOS
    """
    settings = chosen_recipe(recipe, None).data if recipe else None
    from ktse.data.check import check as check_data

    found = check_data(path, settings=settings, track=_with_progress)
    say(json.dumps(found.to_json(), indent=2, ensure_ascii=False) if as_json else findings_table(found))
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
        colour = "red" if finding.severity == "error" else "yellow"
        table.add_row(f"[{colour}]{finding.severity}[/]", *map(_plain, (finding.what, where, finding.remedy)))
    return table


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
