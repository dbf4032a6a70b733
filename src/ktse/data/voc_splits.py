"""The splits of VOC 2012: lists of ids, and trainaug, which VOC comes without."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ktse.data.image_ids import image_id
from ktse.data.sbd import find_sbd
from ktse.errors import DataError, near_matches

TRAINAUG: Final = "trainaug"
TRAINAUG_COUNT: Final = 10_582
"""Images of the known list: VOC train and SBD train and val less VOC val (REFERENCE 2.1)."""

_TRAINAUG_DIGEST: Final = "855dff350b7f447bf43cb98ea626a32e0d0b3b7c5786e03b2712a21355b635bf"  # of its sorted ids
_TRAINAUG_LISTS: Final = (TRAINAUG, "train_aug")


def read_split(voc_root: Path, split: str, sbd: Path | None) -> list[str]:
    """Return the ids of a split, in the order of its list.

    trainaug is read from its list where there is one (`trainaug.txt` or `train_aug.txt`), and else computed: VOC train
    and SBD train and val less VOC val, sorted as the known list is.

    Args:
        voc_root: The folder `VOCdevkit/VOC2012`.
        split: train, trainaug, val, trainval, test, or the name of any other list in `ImageSets/Segmentation`.
        sbd: Folder of SBD, None where there is none.

    Raises:
        DataError: A list is missing or damaged, or that of trainaug has images of val.
    """
    folder = voc_root / "ImageSets" / "Segmentation"
    lists = {path.stem: path for path in folder.glob("*.txt")}
    if not lists:
        raise DataError(f"there are no lists in '{folder}'.", remedy="Give the folder VOCdevkit/VOC2012 as data.")
    if split == TRAINAUG:
        return _trainaug(folder, lists, sbd)
    if split not in lists:
        raise DataError(f"VOC 2012 has no split '{split}'.", remedy=near_matches(split, {*lists, TRAINAUG}))
    return _read_list(lists[split])


def has_trainaug(voc_root: Path) -> bool:
    """Return whether a VOC folder has a trainaug: a list of it, or SBD to make it from.

    Example:
        >>> has_trainaug(Path("no-such-folder"))
        False
    """
    folder = voc_root / "ImageSets" / "Segmentation"
    return any((folder / f"{name}.txt").is_file() for name in _TRAINAUG_LISTS) or find_sbd(voc_root) is not None


def trainaug_note(ids: Iterable[str]) -> str:
    """Return a sentence where a trainaug is not the known one, else nothing.

    Example:
        >>> trainaug_note(["2007_000032"])
        'trainaug has 1 image; the list of the literature has 10582.'
    """
    names = sorted(set(ids))
    if len(names) != TRAINAUG_COUNT:
        images = "1 image" if len(names) == 1 else f"{len(names)} images"
        return f"{TRAINAUG} has {images}; the list of the literature has {TRAINAUG_COUNT}."
    if hashlib.sha256("\n".join(names).encode()).hexdigest() != _TRAINAUG_DIGEST:
        return f"{TRAINAUG} has {TRAINAUG_COUNT} images as the list of the literature, but not the same ones."
    return ""


def _trainaug(folder: Path, lists: dict[str, Path], sbd: Path | None) -> list[str]:
    shipped = next((lists[name] for name in _TRAINAUG_LISTS if name in lists), None)
    if shipped:
        ids = _read_list(shipped)
        both = sorted(set(ids) & set(_read_list(lists["val"]))) if "val" in lists else []
        if both:
            raise DataError(
                f"'{shipped}' has {len(both)} images of val ('{both[0]}', ...): scores on val would be worth nothing.",
                remedy="Take them out, or give the list another name and data.train_split that name.",
            )
        return ids
    if sbd is None:
        raise DataError(
            f"the list '{folder / f'{TRAINAUG}.txt'}' is missing, and there is no SBD to make it from.",
            remedy="Unpack SBD (benchmark.tgz) beside VOCdevkit or set data.sbd to it, put the list there, "
            "or use data.train_split=train.",
        )
    parts = [folder / "train.txt", sbd / "train.txt", sbd / "val.txt"]
    wanted = {id_ for part in parts for id_ in _read_list(part)}
    return sorted(wanted - set(_read_list(folder / "val.txt")))


def _read_list(path: Path) -> list[str]:
    """Read ids; of a line that gives paths (`/JPEGImages/ID.jpg /SegmentationClassAug/ID.png`) the first file's name.

    Raises:
        DataError: The list is missing, or a line names no image.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"the list '{path}' cannot be read: {error.strerror}.", remedy="Unpack it anew.") from None
    ids = [Path(words[0]).stem for words in map(str.split, lines) if words]
    for id_ in ids:
        if image_id(f"{id_}.jpg") != id_:
            raise DataError(f"the list '{path}' has '{id_}', which names no image.", remedy="Unpack it anew.")
    return ids
