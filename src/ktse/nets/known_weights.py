"""The weights that the project knows by name: where they come from, under which licence, where a copy is looked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ktse.errors import WeightsError, near_matches


@dataclass(frozen=True, slots=True)
class KnownWeights:
    """One weights file that others have published.

    Attributes:
        name: What a recipe calls it.
        file_name: Name of the file as published.
        source: Page that offers it.
        md5: Checksum as the source states it, or an empty string; against damage, not against forgery.
        licence: What is known of its licence.
    """

    name: str
    file_name: str
    source: str
    md5: str
    licence: str


KNOWN_WEIGHTS = (
    KnownWeights(
        name="resnet38d.imagenet",
        file_name="ilsvrc-cls_rna-a1_cls1000_ep-0001.params",
        source="https://github.com/itijyou/ademxapp",
        md5="ff21f45d6bf03284100dcbec571edfad",
        licence="Apache-2.0 (of the repository); trained on ImageNet, whose terms of use are for research",
    ),
    KnownWeights(
        name="vgg16.imagenet",
        file_name="vgg16-397923af.pth",
        source="https://download.pytorch.org/models/vgg16-397923af.pth",
        md5="",
        licence="BSD-3-Clause (of torchvision); trained on ImageNet, whose terms of use are for research",
    ),
)

BUILT_IN = ("demo", "timm")
"""Weights that a trunk's builder gets without a file: from the package, or through timm."""


def weights_folder() -> Path:
    """Return the folder in which files of known weights are looked for: $KTSE_WEIGHTS, or ktse/weights in the cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("KTSE_WEIGHTS") or cache / "ktse" / "weights")


def find_weights(weights: str | Path) -> Path:
    """Return the file that `weights` means: a path, or the local copy of weights known by name.

    Raises:
        WeightsError: There is no such file; for known weights the error says where to get it.

    Example:
        >>> find_weights("resnet38d.imagnet")
        Traceback (most recent call last):
            ...
        ktse.errors.WeightsError: no weights file 'resnet38d.imagnet'. Did you mean 'resnet38d.imagenet'?
    """
    known = {entry.name: entry for entry in KNOWN_WEIGHTS}
    if str(weights) in known:
        entry = known[str(weights)]
        path = weights_folder() / entry.file_name
        if not path.is_file():
            raise WeightsError(
                f"the weights '{entry.name}' are not on this machine: no '{path}'.",
                remedy=f"Get '{entry.file_name}' from {entry.source} ({entry.licence}) and put it there, "
                "or give its path in place of the name.",
            )
        return path
    path = Path(weights)
    if not path.is_file():
        raise WeightsError(f"no weights file '{path}'.", remedy=near_matches(str(weights), [*known, *BUILT_IN]))
    return path
