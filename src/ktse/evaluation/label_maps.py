"""Label maps that wait for their score: a folder, or an archive as one; complete, or an error says what is missing."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path

from ktse.artifacts import read_json
from ktse.data.dataset import Dataset
from ktse.data.released_masks import calling, unpack_masks
from ktse.engine.progress import progress
from ktse.errors import DataError
from ktse.types import PREDICTIONS_FILE

NAMED = 3
"""Images without a label map that an error names; the others are counted."""


@contextmanager
def as_folder(label_maps: Path, ids: Collection[str]) -> Iterator[Path]:
    """Give a folder or an archive of label maps as a folder; of an archive, the wanted ones are unpacked for a while.

    Args:
        label_maps: A folder, or a .zip as `unpack_masks` takes it.
        ids: Images whose label maps are wanted.

    Yields:
        A folder that has `ID.png` of each wanted image that has a label map. Errors about an unpacked file name the
        archive.

    Raises:
        DataError: There is neither a folder nor an archive, or the archive is damaged, hostile or of other content.
    """
    if label_maps.is_dir():
        yield label_maps
        return
    if not label_maps.is_file():
        raise DataError(f"there is neither a folder nor an archive '{label_maps}'.")
    with tempfile.TemporaryDirectory(prefix="ktse-") as place:
        folder = Path(place) / "masks"
        with progress(f"unpack {label_maps.name}", len(ids)) as report:
            unpack_masks(label_maps, folder, ids=ids, progress=lambda *_: report())
        with calling(folder, str(label_maps)):
            yield folder


def refuse_other_classes(dataset: Dataset, folder: Path) -> None:
    """Refuse label maps that say of themselves that their labels mean other classes than those of the data set.

    Predictions say so in a file beside them; label maps without one are taken as they are.

    Raises:
        DataError: The classes differ in names or order; the first label that does is named.
    """
    try:
        facts = read_json(folder / PREDICTIONS_FILE)
    except DataError:  # there is none, or others have written something of this name
        return
    labels = facts.get("labels") if isinstance(facts, dict) else None
    if not isinstance(labels, list) or list(map(str, labels[1:])) == list(dataset.classes.names):
        return
    names, ours = ([f"'{name}'" for name in words] for words in (labels[1:], dataset.classes.names))
    pairs = enumerate(zip_longest(names, ours, fillvalue="no class"), 1)
    label, (theirs, own) = next((label, pair) for label, pair in pairs if pair[0] != pair[1])
    raise DataError(
        f"the label maps in '{folder}' are of other classes than {dataset.name} (see {PREDICTIONS_FILE}): "
        f"label {label} is {theirs} there and {own} in the data set, of {len(names)} and {len(ours)} classes.",
        remedy="Score them on data with their classes, or list the classes in their order in the data's classes.txt.",
    )


def refuse_gaps(dataset: Dataset, folder: Path, *, stage: str) -> None:
    """Refuse a folder that lacks label maps of images with a true mask, before time is spent on those that are there.

    Args:
        dataset: Images with true masks.
        folder: Should hold `ID.png` for each of these images.
        stage: What the label maps are.

    Raises:
        DataError: Some are missing: the first ones are named, all are counted.
    """
    if not dataset.has_masks:
        return  # which is another error
    gaps = [index for index, id_ in enumerate(dataset.ids) if not (folder / f"{id_}.png").is_file()]
    where = f"{dataset.name} {dataset.split}"
    if len(gaps) == len(dataset):
        first = f"{dataset.ids[0]}.png"
        deeper = next((inner for inner in folder.iterdir() if (inner / first).is_file()), None)
        raise DataError(
            f"'{folder}' has no label map of the {len(dataset)} images of {where}; '{first}' would be the first.",
            remedy=f"Give '{deeper}'." if deeper else f"Make the {stage} first, and name each after its image.",
        )
    missing = [dataset.ids[index] for index in gaps if dataset.mask(index) is not None]
    if missing:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise DataError(
            f"'{folder}' lacks the label maps of {len(missing)} of the {len(dataset)} images of {where}: "
            f"{', '.join(missing[:NAMED])}{more}.",
            remedy=f"Make the {stage} of all, or score another split.",
        )
