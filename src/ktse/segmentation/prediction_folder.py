"""A folder of predictions: which files, whose they are, and that nobody else's are mixed with them."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ktse.artifacts import RunDirectory, read_json, stage_key, write_json
from ktse.data.image_files import ImageFiles, Images
from ktse.data.image_ids import path_below
from ktse.errors import InputError
from ktse.segmentation.inference_settings import INFERENCE_SETTINGS
from ktse.segmentation.segmenter import Segmenter
from ktse.types import PREDICTIONS_FILE


class PredictionFolder:
    """Where predictions lie. Making one touches nothing on disk.

    Args:
        root: The folder.
        with_probabilities: Whether an image is done only when its probabilities are there too.

    Raises:
        InputError: `root` is a file.

    Example:
        >>> folder = PredictionFolder(Path("masks"))
        >>> folder.label_map("garden/cat").as_posix(), folder.is_done("garden/cat")
        ('masks/garden/cat.png', False)
    """

    def __init__(self, root: Path, *, with_probabilities: bool = False) -> None:
        if root.exists() and not root.is_dir():
            raise InputError(f"'{root}' is a file.", remedy="Give a folder for the predictions.")
        self.root = root
        self.with_probabilities = with_probabilities

    def lock(self) -> AbstractContextManager[None]:
        """Be the only one who writes here.

        Raises:
            InputError: Another process writes here, or nobody can.
        """
        return RunDirectory(self.root).lock()

    def label_map(self, id_: str) -> Path:
        """File of the label map of an image."""
        return self.root / f"{path_below(id_)}.png"

    def probabilities(self, id_: str) -> Path:
        """File of the probabilities of an image."""
        return self.root / f"{path_below(id_)}.npz"

    def is_done(self, id_: str) -> bool:
        """Return whether all that is wanted of an image is there."""
        return self.label_map(id_).is_file() and (not self.with_probabilities or self.probabilities(id_).is_file())

    def claim(self, segmenter: Segmenter, images: Images, *, overwrite: bool = False) -> None:
        """Make the folder ready for predictions of a segmenter.

        Args:
            segmenter: Whose network and settings the folder is for.
            images: What is going to be predicted.
            overwrite: Remove predictions of these images that are there.

        Raises:
            InputError: Predictions would replace files that are none, or stand beside those of another segmenter.
        """
        ours = [self.label_map(id_) for id_ in images.ids]
        self._spare_foreign_files(ours, images.paths if isinstance(images, ImageFiles) else ())
        state, key = _state_of(segmenter), self._key()
        if key not in (None, state["key"]) and (not overwrite or set(self.root.rglob("*.png")) - set(ours)):
            raise InputError(
                f"'{self.root}' holds predictions of another model or with other settings (see {PREDICTIONS_FILE}).",
                remedy=f"Give another folder, or {'empty this one' if overwrite else '--overwrite'}.",
            )
        if overwrite:
            for path in (*ours, *map(self.probabilities, images.ids)):
                path.unlink(missing_ok=True)
        write_json(self.root / PREDICTIONS_FILE, state)

    def _spare_foreign_files(self, ours: list[Path], images: tuple[Path, ...]) -> None:
        """Refuse to replace the images themselves, or files in a folder that has had no predictions."""
        targets = {path.resolve() for path in ours}
        if image := next((path for path in images if path.resolve() in targets), None):
            raise InputError(f"a prediction would replace the image '{image}'.", remedy="Give another folder: -o OUT.")
        if self._key() is None and (foreign := next((path for path in ours if path.exists()), None)):
            raise InputError(
                f"'{foreign}' is there and was not made by a prediction (no {PREDICTIONS_FILE}).",
                remedy="Give another folder: -o OUT.",
            )

    def _key(self) -> str | None:
        """Return the key of the predictions that are here, None when there are none."""
        path = self.root / PREDICTIONS_FILE
        if not path.is_file():
            return None
        state = read_json(path)
        return str(state.get("key")) if isinstance(state, dict) else ""


def _state_of(segmenter: Segmenter) -> dict[str, Any]:
    recipe = segmenter.recipe
    settings = recipe.segmentation.model_dump(mode="json", include=set(INFERENCE_SETTINGS))
    facts = {
        "recipe": recipe.name,
        "labels": ["background", *segmenter.classes.names],
        "normalization": {"mean": recipe.data.mean, "std": recipe.data.std},
        "settings": settings,
    }
    return {"key": stage_key(_digest(segmenter.network), facts), **facts}


def _digest(network: nn.Module) -> str:
    """Return a hex digest over the parameters and buffers of a network."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
