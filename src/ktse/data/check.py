"""What is wrong with a data set, found before anything is trained on it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from ktse.config import DataSettings
from ktse.data.dataset import Dataset
from ktse.data.faults import message_of
from ktse.data.folder import list_splits
from ktse.data.open import guess_settings, open_dataset
from ktse.errors import DataError

TOO_FREQUENT: Final = 0.95
"""Share of images above which a class hardly teaches anything: a tag that is always there tells nothing apart."""

Severity = Literal["error", "warning"]
Track = Callable[[range], Iterable[int]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of fault.

    Attributes:
        severity: error where training or scoring would stop, warning where it would suffer.
        what: The fault, one sentence.
        where: Images, classes or files that have it.
        remedy: What to do about it.
    """

    severity: Severity
    what: str
    where: tuple[str, ...]
    remedy: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Attributes:
        name: Data set or path that was checked.
        images: Number of images of each split that could be opened.
        findings: All faults, errors first.
    """

    name: str
    images: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that would stop training or scoring."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain lists and dictionaries."""
        return {"name": self.name, "images": self.images, "findings": [asdict(finding) for finding in self.findings]}


def check(source: Dataset | Path, *, settings: DataSettings | None = None, track: Track = iter) -> CheckReport:
    """Look at every image, tag and mask of a data set.

    Args:
        source: A data set, or a path whose training and validation splits are opened; of a plain folder, all splits.
            Tags are looked at where they are learned from: in the training split, or in the data set that is given.
        settings: Says the kind of data at the path; when left out, the layout of the folder does.
        track: Wraps the indices of the images, for a progress bar.

    Returns:
        All findings; no fault of the data raises.

    Example:
        >>> from ktse.data.shapes import Shapes
        >>> check(Shapes("train", count=8)).errors
        ()
    """
    findings: list[Finding] = []
    if isinstance(source, Dataset):
        name, datasets, learned_from = source.name, [source], source.split
    else:
        settings = settings or guess_settings(source)
        datasets, findings = _open_splits(source, settings)
        name, learned_from = str(source), settings.train_split
    for dataset in datasets:
        if dataset.split == learned_from:
            findings += check_tags(dataset)
    findings += check_files(datasets, track=track)
    findings.sort(key=lambda finding: finding.severity)  # "error" before "warning"
    return CheckReport(name, {dataset.split: len(dataset) for dataset in datasets}, tuple(findings))


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
    frequent, absent, single = names[counts > TOO_FREQUENT * len(dataset)], names[counts == 0], names[counts == 1]
    kinds: list[tuple[str, Sequence[str], str]] = [
        ("images without a tag", untagged, "Tag them, unless they show background only."),
        ("classes in every image or nearly", frequent, "Add images without them: they cannot be told from background."),
        ("classes without any image", absent, "Tag images of them or take them out of the classes."),
        ("classes of a single image, which has no partner to be paired with", single, "Add images of them."),
    ]
    return [
        Finding("warning", f"split '{dataset.split}': {what}", tuple(str(word) for word in where), remedy)
        for what, where, remedy in kinds
        if len(where)
    ]


def check_files(datasets: Sequence[Dataset], *, track: Track = iter) -> list[Finding]:
    """Read every image and mask: unreadable ones, pictures that are there twice, masks of another size or labels.

    Args:
        datasets: Splits of one data set.
        track: Wraps the indices of the images, for a progress bar.
    """
    unreadable: list[str] = []
    unusable: list[str] = []
    blank: list[str] = []
    shown_by: dict[bytes, list[str]] = defaultdict(list)
    for dataset in datasets:
        for index in track(range(len(dataset))):
            name = f"{dataset.split}: {dataset.ids[index]}"
            try:
                image = dataset.image(index)
            except DataError as error:
                unreadable.append(str(error))
                continue
            shown_by[hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()].append(name)
            if image.min() == image.max():
                blank.append(name)
            unusable += _mask_faults(dataset, index, image.shape[:2])
    twice = [" = ".join(names) for names in shown_by.values() if len(names) > 1]
    kinds: list[tuple[Severity, str, list[str], str]] = [
        ("error", "images that cannot be read", unreadable, "Copy them anew or take them out of the list."),
        ("error", "masks that cannot be used", unusable, "Mend them or take them away: training needs none."),
        ("warning", "images of one single colour", blank, "Take them out if they are damaged."),
        ("warning", "the same picture more than once", twice, "Keep one; a picture in two splits flatters the score."),
    ]
    return [Finding(severity, what, tuple(where), remedy) for severity, what, where, remedy in kinds if where]


def _mask_faults(dataset: Dataset, index: int, size: tuple[int, ...]) -> list[str]:
    try:
        mask = dataset.mask(index)
    except DataError as error:
        return [str(error)]
    if mask is None or mask.shape == size:
        return []
    return [f"{dataset.split}: {dataset.ids[index]}: mask is {mask.shape}, image is {size} (height, width)"]


def _open_splits(path: Path, settings: DataSettings) -> tuple[list[Dataset], list[Finding]]:
    """Open the splits that there are; what cannot be opened becomes a finding."""
    splits = [settings.train_split, settings.val_split]
    if settings.kind == "folder":  # validation is up to the user there
        splits = [split for split in splits if split == settings.train_split or (path / f"{split}.csv").is_file()]
        splits += [split for split in list_splits(path) if split not in splits]
    datasets: list[Dataset] = []
    findings: list[Finding] = []
    for split in splits:
        try:
            datasets.append(open_dataset(settings, path, split))
        except DataError as error:
            findings.append(Finding("error", message_of(error), (f"split '{split}'",), error.remedy))
    return datasets, findings
