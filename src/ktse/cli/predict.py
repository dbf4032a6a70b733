"""`ktse predict`: masks from a trained segmenter, for own images or for those of a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ktse.cli.console import say
from ktse.cli.options import DataOption, RecipeOption, SetOption, chosen_recipe
from ktse.cli.stages import run_stage
from ktse.errors import InputError, RecipeError

if TYPE_CHECKING:
    from ktse.config import DataSettings
    from ktse.data.dataset import Dataset
    from ktse.data.image_files import ImageFiles
    from ktse.segmentation.segmenter import Segmenter

OTHER_SETTINGS = ("data.max_pixels", "runtime.accelerator", "runtime.inference_batch")
"""Settings beside those of `segmentation` that a prediction looks at."""

ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="Run directory, or a .safetensors file of one.")]
ImagesArgument = Annotated[
    Path | None,
    typer.Argument(metavar="IMAGES", help="An image, a folder, or a .txt list; else the data set of the run."),
]
FolderOption = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="OUT", help="Folder of the masks; else RUN/predictions.")
]
SplitOption = Annotated[
    str | None, typer.Option("--split", metavar="NAME", help="Split of the data set, with --out; else val.")
]
ProbabilitiesOption = Annotated[
    bool, typer.Option("--probabilities", help="Write OUT/ID.npz too: (labels, height, width) float16.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Make anew what is there already.")]
VocOption = Annotated[
    Path | None, typer.Option("--voc", metavar="FILE.tar.gz", help="Archive for VOC's evaluation server too.")
]
CompetitionOption = Annotated[
    str, typer.Option("--competition", help="Of the archive: comp5 (trained on VOC's images alone) or comp6.")
]


def predict(
    model: ModelArgument,
    images: ImagesArgument = None,
    out: FolderOption = None,
    data: DataOption = None,
    split: SplitOption = None,
    probabilities: ProbabilitiesOption = False,
    overwrite: OverwriteOption = False,
    voc: VocOption = None,
    competition: CompetitionOption = "comp6",
    recipe: RecipeOption = None,
    changes: SetOption = None,
) -> None:
    """Predict masks with a trained segmenter, for images that need no tags.

    Images that cannot be read are named at the end, and the exit code is 2. The same command does what is missing.

    Example: ktse predict runs/photos holiday -o holiday-masks --set segmentation.mirror=true
    """
    _check_settings(changes or [])
    if images is None and model.is_file():
        raise InputError(f"which images? '{model}' knows none.", remedy="Give them: ktse predict MODEL IMAGES -o OUT.")
    if out is None:
        _refuse_without_out({"IMAGES": images, "--split": split, "--probabilities": probabilities,
                             "--overwrite": overwrite, "--voc": voc})  # fmt: skip
        run_stage("predictions", model, data, recipe, changes)
        say(f"predictions: {model / 'predictions'}")
        return
    if images is not None and (other := _given({"--data": data, "--split": split, "--recipe": recipe})):
        raise InputError(f"IMAGES and {other} are two sources of images.", remedy="Give one of them.")

    _check_out(out)
    chosen: Dataset | ImageFiles
    if images is None:
        settings = chosen_recipe(recipe, changes, run=model)
        chosen = _data_set(settings.data, data, split)
        trained = _load(model)
    else:
        from ktse.data.image_files import ImageFiles, list_images
        from ktse.overrides import apply_overrides

        listed = list_images(images, leave_out=out)
        trained = _load(model)
        settings = apply_overrides(trained.recipe, changes or [])
        chosen = ImageFiles(listed.paths, listed.ids, max_pixels=settings.data.max_pixels)

    from ktse.engine.fabric import joined
    from ktse.segmentation.predict_files import predict_files
    from ktse.segmentation.voc_export import check_voc_export, write_voc_export

    if voc:
        check_voc_export(voc, trained.classes, competition=competition)
    with joined(settings.runtime) as fabric:
        trained.network.to(fabric.device)
        kept = predict_files(
            trained.with_settings_of(settings), chosen, out, probabilities=probabilities, overwrite=overwrite,
            batch=settings.runtime.inference_batch, fabric=fabric,
        )  # fmt: skip
        if voc and fabric.global_rank == 0:
            write_voc_export(voc, out, chosen.ids, competition=competition)
    say(f"predictions: {out}" + (f" ({kept} of {len(chosen)} were there already)" if kept else ""))
    if voc:
        say(f"archive: {voc}")


def _load(model: Path) -> Segmenter:
    """Load the model, after all that can be refused without it: it takes seconds."""
    from ktse.export.bundle import load

    return load(model)


def _data_set(settings: DataSettings, data: Path | None, split: str | None) -> Dataset:
    """Open the split whose images are predicted: the one that is asked for, else that of the stage of prediction.

    Its images keep their size, and so do their predictions: the segmenter knows how large it may see them.
    """
    from ktse.data.open import has_split, open_dataset

    if split is None:
        split = settings.val_split if has_split(settings, data, settings.val_split) else settings.train_split
    return open_dataset(settings, data, split, full_size=True)


def _check_settings(changes: list[str]) -> None:
    """Refuse changes of settings that a prediction does not look at, and values that no recipe takes."""
    from ktse.overrides import check_overrides, setting_names
    from ktse.segmentation.inference_settings import INFERENCE_SETTINGS

    known = (*(f"segmentation.{name}" for name in sorted(INFERENCE_SETTINGS)), *OTHER_SETTINGS)
    others = {name for name in setting_names() if not name.startswith(known)}
    for change in changes:
        name = change.partition("=")[0].strip()
        if name in others:
            raise RecipeError(f"a prediction does not look at {name}.", remedy=f"It looks at {', '.join(known)}.")
    check_overrides(changes)


def _check_out(out: Path) -> None:
    """Refuse a place where no folder can be made or written to; nothing is made yet."""
    place = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not place.is_dir():
        raise InputError(f"'{place}' is a file.", remedy="Give a folder for the predictions.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(f"cannot write in '{place}'.", remedy="Give another folder: -o OUT.")


def _refuse_without_out(wishes: dict[str, object]) -> None:
    """Refuse what needs a folder of its own."""
    if given := _given(wishes):
        raise InputError(f"with {given} it has to be said where the masks go.", remedy="Give a folder: -o OUT.")


def _given(options: dict[str, object]) -> str:
    """Return the names of the options that are given."""
    return ", ".join(name for name, value in options.items() if value)
