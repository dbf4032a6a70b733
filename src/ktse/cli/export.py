"""`ktse export`: the trained segmenter of a run as one file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ktse.cli.console import say
from ktse.cli.options import RunArgument
from ktse.errors import InputError, near_matches

ENDINGS = (".onnx", ".safetensors")


def export(
    run: RunArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="*.onnx or *.safetensors; else RUN/segmenter.onnx."),
    ] = None,
) -> None:
    """Write the trained segmenter as ONNX, or as a file for `ktse.load` that holds classes and recipe too.

    Example: ktse export runs/photos --out cats.onnx
    """
    path = out or run / "segmenter.onnx"
    if path.suffix not in ENDINGS:
        raise InputError(f"cannot export to '{path}'.", remedy=near_matches(path.suffix, ENDINGS))
    from ktse.export.bundle import load, save_bundle
    from ktse.export.onnx import export_onnx

    model = load(run)
    if path.suffix == ".onnx":
        export_onnx(model, path)
    else:
        save_bundle(path, model.network, model.recipe, model.classes)
    say(f"written: {path}")
