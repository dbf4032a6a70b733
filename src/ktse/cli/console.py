"""What the command line prints; of several processes only the first prints results."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, TextIO

import typer

from ktse.errors import KtseWarning

if TYPE_CHECKING:
    from rich.console import RenderableType


_SHOW_OTHERS = warnings.showwarning


def rank() -> int:
    """Return the number of this process among those that torchrun started, 0 for the first or only one."""
    return int(os.environ.get("RANK", "0"))


def say(what: RenderableType) -> None:
    """Print a text or a table on standard output; nothing in processes after the first."""
    if rank() > 0:
        return
    if isinstance(what, str):
        typer.echo(what)
        return
    from rich.console import Console

    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width to wrap at
        console = Console(width=200)
    console.print(what)


def complain(what: str) -> None:
    """Print an error as one line on standard error, with the number of the process where there are several."""
    _line("error:", typer.colors.RED, what)


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning of ours as one line on standard error; stands for `warnings.showwarning`."""
    if issubclass(category, KtseWarning):
        _line("warning:", typer.colors.YELLOW, str(message))
    else:
        _SHOW_OTHERS(message, category, filename, lineno, file, line)


def _line(kind: str, colour: str, what: str) -> None:
    place = f"[process {rank()}] " if rank() > 0 else ""
    typer.secho(f"{place}{kind}", fg=colour, bold=True, err=True, nl=False)
    typer.echo(f" {' '.join(what.split())}", err=True)
