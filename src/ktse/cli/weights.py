"""`ktse weights`: weights of others that the project knows by name."""

from __future__ import annotations

import typer

from ktse.cli.console import say

app = typer.Typer(no_args_is_help=True, help="Weights that ktse knows by name.")


@app.callback()
def weights() -> None:
    """Make `list` a command of its own although it is the only one."""


@app.command("list")
def list_weights() -> None:
    """List the weights that recipes may name, and whether this machine has them."""
    from rich.table import Table

    from ktse.nets.known_weights import KNOWN_WEIGHTS, weights_folder

    table = Table("name", "file", "here", "source", "licence", box=None, pad_edge=False)
    for entry in KNOWN_WEIGHTS:
        here = "yes" if (weights_folder() / entry.file_name).is_file() else "no"
        table.add_row(entry.name, entry.file_name, here, entry.source, entry.licence)
    say(table)
    say(f"Files are looked for in {weights_folder()}. A recipe may also give a path, `timm`, `demo` or null.")
