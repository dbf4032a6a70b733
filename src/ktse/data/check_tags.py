"""What is wrong with the tags that a training learns from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ktse.config import Recipe
from ktse.data.classes import Classes
from ktse.data.dataset import Dataset
from ktse.data.epochs import check_batch_size
from ktse.data.faults import message_of
from ktse.data.findings import Finding
from ktse.data.loaders import check_trainable
from ktse.errors import DataError, InputError

TOO_FREQUENT: Final = 0.95
"""Share of images above which a class hardly teaches anything: a tag that is always there tells nothing apart."""

FEW: Final = 4
"""Images below which a class is called rare: what they happen to share is learned in the class's place."""


def check_tags(dataset: Dataset) -> list[Finding]:
    """Look at the tags of a data set: missing, too frequent, too rare to be paired.

    Example:
        >>> from ktse.data.shapes import Shapes
        >>> [finding.what for finding in check_tags(Shapes("train", count=100))]
        []
    """
    counts = dataset.tags.sum(axis=0)
    names = np.array(dataset.classes.names)
    if not counts.any():
        what = f"split '{dataset.split}': no image has a tag"
        return [Finding("error", what, (dataset.name,), "Tag the images: there is nothing to learn from.")]
    untagged = [id_ for id_, tags in zip(dataset.ids, dataset.tags, strict=True) if not tags.any()]
    kinds: list[tuple[str, Sequence[str], str]] = [
        ("images without a tag", untagged, "Tag them, unless they show background only."),
        (
            "classes in every image or nearly",
            names[counts > TOO_FREQUENT * len(dataset)],
            "Add images without them: they cannot be told from background.",
        ),
        (
            "classes without any image",
            names[counts == 0],
            "Tag images of them or take them out of the classes.",
        ),
        (
            "classes of a single image, which has no partner to be paired with",
            names[counts == 1],
            "Add images of them.",
        ),
        (
            f"classes of fewer than {FEW} images",
            names[(counts > 1) & (counts < FEW)],
            "Add images of them, or take them out of the classes.",
        ),
    ]
    return [
        Finding("warning", f"split '{dataset.split}': {what}", tuple(str(word) for word in where), remedy)
        for what, where, remedy in kinds
        if len(where)
    ]


def check_classes(classes: Classes) -> list[Finding]:
    """Look whether two classes have one name but for capitals and blanks: most likely they are meant to be one.

    Example:
        >>> check_classes(Classes(("cat", "Dress", "dress")))[0].where
        ('Dress = dress',)
    """
    alike: dict[str, list[str]] = {}
    for name in classes.names:
        alike.setdefault("".join(name.split()).casefold(), []).append(name)
    where = tuple(" = ".join(names) for names in alike.values() if len(names) > 1)
    what = "classes whose names differ in capitals or blanks only"
    return [Finding("warning", what, where, "Write the name of a class alike everywhere.")] if where else []


def check_batches(dataset: Dataset, recipe: Recipe) -> list[Finding]:
    """Look whether the batches of a recipe can be made of a data set, in each stage that trains.

    Example:
        >>> from ktse.data.shapes import Shapes
        >>> [finding.severity for finding in check_batches(Shapes("train", count=4), Recipe())]
        ['error', 'error', 'error']
    """
    findings = []
    for check in (_localizer_batches, _irn_batches, _segmenter_batches):
        try:
            check(dataset, recipe)
        except InputError as error:
            what = message_of(error) if isinstance(error, DataError) else str(error)
            findings.append(Finding("error", what, (f"split '{dataset.split}'",), error.remedy))
    return findings


def _localizer_batches(dataset: Dataset, recipe: Recipe) -> None:
    if dataset.tags.any():  # else `check_tags` says so
        check_trainable(dataset, recipe)


def _irn_batches(dataset: Dataset, recipe: Recipe) -> None:
    if "irn" in recipe.refinement.steps:
        irn = recipe.refinement.irn
        check_batch_size(
            dataset, "refinement.irn.batch_size", irn.batch_size, world_size=1, micro_batches=irn.micro_batches
        )


def _segmenter_batches(dataset: Dataset, recipe: Recipe) -> None:
    settings = recipe.segmentation
    check_batch_size(
        dataset,
        "segmentation.batch_size",
        settings.batch_size,
        world_size=1,
        micro_batches=settings.micro_batches,
        together=2 if settings.method == "co_training" else 1,
    )
