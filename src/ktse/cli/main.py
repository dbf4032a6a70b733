"""The command `ktse`: all groups of commands together, and how a process of it ends."""

from __future__ import annotations

import signal
import sys
import traceback
import warnings
from typing import Annotated

import typer

from ktse.cli import data, evaluate, export, predict, run, stages, weights
from ktse.cli.console import complain, say, show_warning
from ktse.cli.failures import KtseGroup
from ktse.cli.recipes import recipes

WELCOME = """\
ktse turns image tags into segmentation masks. Commands to begin with:

  ktse demo                                             the whole path on embedded drawings, in minutes
  ktse data check PHOTOS                                what a folder of images and tags lacks
  ktse run folder/cpu --data PHOTOS --out runs/photos   masks, a model and a report from own images
  ktse recipes                                          everything that can be run
  ktse --help                                           all commands"""

app = typer.Typer(
    cls=KtseGroup,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run.run)
app.command()(run.demo)
app.command()(recipes)
app.add_typer(data.app, name="data")
app.add_typer(weights.app, name="weights")
app.add_typer(stages.train, name="train", rich_help_panel="One stage of a run")
for stage in (stages.localize, stages.refine, predict.predict, evaluate.evaluate, stages.report, export.export):
    app.command(rich_help_panel="One stage of a run")(stage)


@app.callback()
def ktse(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """From image tags to segmentation masks."""
    if version:
        from ktse import __version__

        say(f"ktse {__version__}")
    elif context.invoked_subcommand is None:
        say(WELCOME)


def main() -> None:
    """Run the command of this process's arguments and leave with its exit code."""
    warnings.showwarning = show_warning
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: resumable
    try:
        app(prog_name="ktse")
    except Exception as error:  # what nobody foresaw is our fault, and says so
        traceback.print_exc()
        complain(f"a fault of ktse ({type(error).__name__}). Please report it with the lines above and the command.")
        sys.exit(1)
