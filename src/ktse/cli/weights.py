"""`ktse weights`: files of others that the project knows by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ktse.cli.console import say
from ktse.cli.options import RecipeOption, RunArgument, SetOption, chosen_recipe
from ktse.errors import InputError

MASKS = {"ktse.masks": "labels", "ktse.confidence": "confidence"}
"""Names of archives of masks, and the kind of mask."""

NEXT_COMMANDS = {
    "localizer": "ktse localize",
    "irnet": "ktse refine",
    "segmenter": "ktse predict",
}
"""Kinds of networks, and the command that goes on from one."""

ARCHIVE = ".zip"

MEGABYTE = 10**6

app = typer.Typer(no_args_is_help=True, help="Weights and masks of others: list, get, check, convert, use.")

WeightsArgument = Annotated[str, typer.Argument(metavar="FILE|NAME", help="A file, or a name of `ktse weights list`.")]


@app.command("list")
def list_weights() -> None:
    """List the files that are known by name, and whether this machine has them."""
    from ktse.nets.known_weights import KNOWN_WEIGHTS, weights_folder

    for entry in KNOWN_WEIGHTS:
        path = weights_folder() / entry.file_name
        here = f"yes, {path.stat().st_size / MEGABYTE:.0f} MB" if path.is_file() else "no"
        size = f"about {entry.megabytes} MB" if entry.megabytes else "size not known"
        say(f"{entry.name}  here: {here}")
        say(f"    {entry.purpose}")
        say(f"    {entry.file_name}, {size}, checksum {entry.checksum or 'not known'}")
        say(f"    {entry.url or 'no address known; give the file with --from'}")
        say(f"    source {entry.source}; licence: {entry.licence}")
    say(f"Files are looked for in {weights_folder()} (KTSE_WEIGHTS). A recipe may name any file in their place.")


@app.command()
def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of `ktse weights list`.")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="Folder for the file, not the usual.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Take this copy, do not download.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Unpack masks into this new folder.")
    ] = None,
) -> None:
    """Get a file into the folder where recipes look for it, whole and checked or not at all.

    KTSE_OFFLINE=1 or HF_HUB_OFFLINE=1 forbids downloads.

    Example: ktse weights pull ktse.masks --out released-masks
    """
    from ktse.nets.known_weights import known_weights
    from ktse.nets.weight_store import pull as pull_file

    entry = known_weights(name)
    if out is not None and name not in MASKS:
        raise InputError(f"'{name}' is no archive of masks.", remedy=f"--out is for {' and '.join(MASKS)}.")
    with _shown(f"{name} (MB)") as shown:
        path = pull_file(
            entry, folder=to, source=source,
            progress=lambda done, total: shown(done // MEGABYTE, (total or 0) // MEGABYTE or entry.megabytes),
        )  # fmt: skip
    say(f"{name}: {path}" + ("" if entry.checksum else " (no checksum is known; see `ktse weights verify`)"))
    if out is not None:
        _unpack(name, path, out)


@app.command()
def verify(weights: WeightsArgument) -> None:
    """Check a file: its checksum where one is known, and that every tensor has its place in the network.

    Example: ktse weights verify 039net_main.pth
    """
    from ktse.nets.known_weights import KNOWN_WEIGHTS, find_weights
    from ktse.nets.weight_contents import check_weights
    from ktse.nets.weight_store import check_file

    path = find_weights(weights)
    entry = next((known for known in KNOWN_WEIGHTS if weights == known.name or path.name == known.file_name), None)
    if entry is not None:
        check_file(path, entry)
    checksum = f"checksum {entry.checksum} fits" if entry and entry.checksum else "no checksum is known"
    if path.suffix == ARCHIVE:
        say(f"{path}: an archive; {checksum}. `ktse weights pull ktse.masks --from {path} --out FOLDER` reads it.")
        return
    say(f"{path}: {check_weights(path).description}; every tensor fits; {checksum}.")


@app.command()
def convert(
    weights: WeightsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.safetensors", help="File to write.")],
    recipe: Annotated[str, typer.Option("--recipe", metavar="NAME", help="Recipe of a segmenter.")] = "voc12/full",
    changes: SetOption = None,
) -> None:
    """Write a released checkpoint in this project's form: a segmenter for `ktse predict`, a localizer for a run.

    Example: ktse weights convert ktse.segmenter -o ktse.safetensors
    """
    from ktse.export.released import convert_released

    contents = convert_released(weights, out, chosen_recipe(recipe, changes))
    say(f"{out}: {contents.description}")


@app.command()
def adopt(weights: WeightsArgument, run: RunArgument, recipe: RecipeOption = None, changes: SetOption = None) -> None:
    """Put a trained localizer, IRNet or segmenter of others into a run, which goes on as after a training of its own.

    Example: ktse weights adopt ktse.localizer runs/released --recipe voc12/table1/seed --set data.train_split=train
    """
    from ktse.nets.known_weights import find_weights

    if find_weights(weights).suffix == ARCHIVE:
        raise InputError(
            f"'{weights}' is an archive of masks, not a network.",
            remedy=f"Score it: ktse evaluate {weights} --data PATH.",
        )
    settings = chosen_recipe(recipe, changes, run=run)
    from ktse.pipeline import adopt as adopt_weights

    contents = adopt_weights(weights, settings, out=run)
    say(f"{contents.description}: {run / contents.kind}; go on with: {NEXT_COMMANDS[contents.kind]} {run}")


def _unpack(name: str, archive: Path, folder: Path) -> None:
    from ktse.data.released_masks import unpack_masks

    with _shown(f"unpack {name}") as shown:
        count = unpack_masks(
            archive, folder, kind="confidence" if MASKS[name] == "confidence" else "labels", progress=shown
        )
    say(f"{count} masks: {folder}")


@contextmanager
def _shown(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far something is whose total is known only once it has begun."""
    from ktse.engine.progress import Report, progress

    with ExitStack() as stack:
        state: dict[str, Report] = {}
        last = 0

        def report(done: int, total: int) -> None:
            nonlocal last
            if "bar" not in state:
                state["bar"] = stack.enter_context(progress(what, total))
            if done > last:
                state["bar"](done - last)
                last = done

        yield report
