"""The files that the project knows by name: where they come from, under which licence, where a copy is looked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ktse.errors import WeightsError, near_matches


@dataclass(frozen=True, slots=True)
class KnownWeights:
    """One file that others have published.

    Attributes:
        name: What a recipe or a command calls it.
        purpose: What it is good for.
        file_name: Name of the file as published.
        source: Page that tells of it.
        url: Address of the file itself, or an empty string where none is known.
        megabytes: Size, about, in 10^6 bytes: from what the source says or from what the file has to hold; 0 where
            neither is known.
        checksum: As the source states it, against damage and not against forgery: `md5:` or `sha256:` and hexadecimal
            digits, of which the first ones are enough; or an empty string.
        licence: What is known of its licence.
    """

    name: str
    purpose: str
    file_name: str
    source: str
    url: str
    megabytes: int
    checksum: str
    licence: str


_KTSE = "https://github.com/NUST-Machine-Intelligence-Laboratory/KTSE"
_KTSE_FILES = "https://ktse.oss-cn-shanghai.aliyuncs.com"
_KTSE_LICENCE = "none stated; made from VOC 2012 and ImageNet, whose terms of use are for research"
_TORCHVISION = "https://docs.pytorch.org/vision/stable/models.html"
_TORCHVISION_FILES = "https://download.pytorch.org/models"
_TORCHVISION_LICENCE = "BSD-3-Clause (of torchvision); trained on ImageNet, whose terms of use are for research"

KNOWN_WEIGHTS = (
    KnownWeights(
        name="resnet38d.imagenet",
        purpose="trunk of the localizer, to train from",
        file_name="ilsvrc-cls_rna-a1_cls1000_ep-0001.params",
        source="https://github.com/itijyou/ademxapp",
        url=f"{_KTSE_FILES}/ilsvrc-cls_rna-a1_cls1000_ep-0001.params",
        megabytes=436,
        checksum="md5:ff21f45d6bf03284100dcbec571edfad",
        licence="Apache-2.0 (of the repository); trained on ImageNet, whose terms of use are for research",
    ),
    KnownWeights(
        name="ktse.localizer",
        purpose="trained localizer for VOC 2012; seeds of 67.0 mIoU",
        file_name="039net_main.pth",
        source=_KTSE,
        url=f"{_KTSE_FILES}/039net_main.pth",
        megabytes=425,
        checksum="",
        licence=_KTSE_LICENCE,
    ),
    KnownWeights(
        name="ktse.segmenter",
        purpose="trained pair of DeepLabV2-ResNet101 for VOC 2012; 73.0 mIoU on val",
        file_name="best_ckpt_KTSE_73.0.pth",
        source=_KTSE,
        url=f"{_KTSE_FILES}/best_ckpt_KTSE_73.0.pth",
        megabytes=353,
        checksum="",
        licence=_KTSE_LICENCE,
    ),
    KnownWeights(
        name="ktse.masks",
        purpose="pseudo masks of VOC 2012 trainaug; 73.8 mIoU on train",
        file_name="sem_seg.zip",
        source=_KTSE,
        url=f"{_KTSE_FILES}/sem_seg.zip",
        megabytes=0,
        checksum="",
        licence=_KTSE_LICENCE,
    ),
    KnownWeights(
        name="ktse.confidence",
        purpose="which pixels of ktse.masks are trusted",
        file_name="mask_irn.zip",
        source=_KTSE,
        url=f"{_KTSE_FILES}/mask_irn.zip",
        megabytes=0,
        checksum="",
        licence=_KTSE_LICENCE,
    ),
    KnownWeights(
        name="irn.voc12",
        purpose="IRNet that IRN's own code has trained on VOC 2012",
        file_name="res50_irn.pth",
        source="https://github.com/jiwoon-ahn/irn",
        url="",
        megabytes=100,
        checksum="",
        licence="MIT (of the repository); made from VOC 2012 and ImageNet, whose terms of use are for research",
    ),
    KnownWeights(
        name="resnet50.imagenet",
        purpose="trunk of IRNet, to train from",
        file_name="resnet50-0676ba61.pth",
        source=_TORCHVISION,
        url=f"{_TORCHVISION_FILES}/resnet50-0676ba61.pth",
        megabytes=103,
        checksum="sha256:0676ba61",
        licence=_TORCHVISION_LICENCE,
    ),
    KnownWeights(
        name="resnet101.imagenet",
        purpose="trunk of the segmenter, to train from; torchvision's second set, as the paper's code takes it",
        file_name="resnet101-cd907fc2.pth",
        source=_TORCHVISION,
        url=f"{_TORCHVISION_FILES}/resnet101-cd907fc2.pth",
        megabytes=179,
        checksum="sha256:cd907fc2",
        licence=_TORCHVISION_LICENCE,
    ),
    KnownWeights(
        name="vgg16.imagenet",
        purpose="trunk of the segmenter, to train from",
        file_name="vgg16-397923af.pth",
        source=_TORCHVISION,
        url=f"{_TORCHVISION_FILES}/vgg16-397923af.pth",
        megabytes=553,
        checksum="sha256:397923af",
        licence=_TORCHVISION_LICENCE,
    ),
)

BUILT_IN = ("demo", "timm")
"""Weights that a trunk's builder gets without a file: from the package, or through timm."""


def weights_folder() -> Path:
    """Return the folder in which files of known weights are looked for: $KTSE_WEIGHTS, or ktse/weights in the cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("KTSE_WEIGHTS") or cache / "ktse" / "weights")


def known_weights(name: str) -> KnownWeights:
    """Return what is known under a name.

    Raises:
        WeightsError: Nothing is; near names are given.

    Example:
        >>> known_weights("ktse.localizer").file_name
        '039net_main.pth'
    """
    known = {entry.name: entry for entry in KNOWN_WEIGHTS}
    if name not in known:
        raise WeightsError(f"no weights are known as '{name}'.", remedy=near_matches(name, known))
    return known[name]


def weights_for(trunk: str) -> list[str]:
    """Return the names of known weights that a trunk can start from.

    Example:
        >>> weights_for("resnet101.tv2_in1k"), weights_for("resnet38d"), weights_for("demo")
        (['resnet101.imagenet', 'timm'], ['resnet38d.imagenet'], ['demo'])
    """
    if trunk == "demo":
        return ["demo"]
    family = trunk.partition(".")[0]
    names = [entry.name for entry in KNOWN_WEIGHTS if entry.name == f"{family}.imagenet"]
    return names if trunk == "resnet38d" else [*names, "timm"]


def find_weights(weights: str | Path, *, meant: Sequence[str] | None = None) -> Path:
    """Return the file that `weights` means: a path, or the local copy of weights known by name.

    Args:
        weights: The path or the name.
        meant: Names that are suggested where there is no such file; None for all that are known.

    Raises:
        WeightsError: There is no such file; for known weights the error says where to get it.

    Example:
        >>> find_weights("ktse.localiser")
        Traceback (most recent call last):
            ...
        ktse.errors.WeightsError: no weights file 'ktse.localiser'. Did you mean 'ktse.localizer'?
    """
    names = [entry.name for entry in KNOWN_WEIGHTS]
    if str(weights) in names:
        entry = known_weights(str(weights))
        path = weights_folder() / entry.file_name
        if not path.is_file():
            raise WeightsError(
                f"the weights '{entry.name}' are not on this machine: no '{path}'.",
                remedy=f"Get them with `ktse weights pull {entry.name}` ('{entry.file_name}' from {entry.source}; "
                f"{entry.licence}), or give its path in place of the name.",
            )
        return path
    path = Path(weights)
    if path.is_dir():
        raise WeightsError(f"'{path}' is a folder, and weights are a file.", remedy="Give the file itself.")
    if not path.is_file():
        known = [*names, *BUILT_IN] if meant is None else meant
        raise WeightsError(f"no weights file '{path}'.", remedy=near_matches(str(weights), known))
    return path
