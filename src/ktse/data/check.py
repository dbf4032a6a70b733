"""What is wrong with a data set, found before anything is trained on it."""

from __future__ import annotations

from pathlib import Path

from ktse.config import DataSettings, Recipe
from ktse.data.check_files import Track, check_files
from ktse.data.check_tags import check_batches, check_classes, check_tags
from ktse.data.dataset import Dataset
from ktse.data.faults import message_of
from ktse.data.findings import CheckReport, Finding, errors_first
from ktse.data.open import guess_settings, has_split, open_dataset
from ktse.data.tag_sources import list_splits
from ktse.errors import DataError


def check(
    source: Dataset | Path,
    *,
    settings: DataSettings | None = None,
    recipe: Recipe | None = None,
    track: Track = iter,
) -> CheckReport:
    """Look at every image, tag and mask of a data set.

    Args:
        source: A data set, or a path whose training and validation splits are opened; of a plain folder, all splits.
            Tags are looked at where they are learned from: in the training split, or in the data set that is given.
        settings: Says the kind of data at the path; when left out, the recipe or else the layout of the folder does.
        recipe: What is to be trained; whether its batches can be made is looked at too.
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
        settings = settings or (recipe.data if recipe else guess_settings(source))
        datasets, findings = _open_splits(source, settings)
        name, learned_from = str(source), settings.train_split
    findings += check_classes(datasets[0].classes) if datasets else []
    for dataset in datasets:
        if dataset.split == learned_from:
            findings += check_tags(dataset)
            findings += check_batches(dataset, recipe) if recipe else []
    findings += [_as_finding(note, dataset) for dataset in datasets for note in dataset.notes]
    findings += check_files(datasets, track=track)
    images = {dataset.split: len(dataset) for dataset in datasets}
    classes = datasets[0].classes.names if datasets else ()
    return CheckReport(name, images, errors_first(findings), classes)


def _as_finding(note: str, dataset: Dataset) -> Finding:
    return Finding("note", note, (f"split '{dataset.split}'",), "Name it where you publish scores.")


def _open_splits(path: Path, settings: DataSettings) -> tuple[list[Dataset], list[Finding]]:
    """Open the splits that there are, images as they are; what cannot be opened becomes a finding, once."""
    splits = [settings.train_split, settings.val_split]
    if settings.kind == "folder":  # validation is up to the user there
        listed = list_splits(path)
        splits = list(dict.fromkeys([*splits, settings.score_split, *listed]))
    datasets: list[Dataset] = []
    failed: dict[tuple[str, str], list[str]] = {}
    for split in splits:
        try:
            if split == settings.train_split or has_split(settings, path, split):
                datasets.append(open_dataset(settings, path, split, full_size=True))
        except DataError as error:
            failed.setdefault((message_of(error), error.remedy), []).append(f"split '{split}'")
    return datasets, [Finding("error", what, tuple(where), remedy) for (what, remedy), where in failed.items()]
