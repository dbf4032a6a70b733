"""Predictions in the archive that the evaluation server of PASCAL VOC takes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from ktse.artifacts import write_bytes_atomic
from ktse.data.classes import VOC_CLASSES, Classes
from ktse.data.image_ids import path_below
from ktse.data.image_io import read_label_map
from ktse.errors import DataError, InputError, near_matches

COMPETITIONS: Final = ("comp5", "comp6")
"""`comp5`: trained on VOC's images alone; `comp6`: on others too, ImageNet's among them."""

ENDINGS: Final = (".tar.gz", ".tgz")
"""Endings of the archive."""


def check_voc_export(path: Path, classes: Classes, *, competition: str = "comp6") -> None:
    """Refuse what the server would refuse, before anything is predicted for it.

    Args:
        path: The archive to be written.
        classes: What the segmenter knows.
        competition: One of `COMPETITIONS`.

    Raises:
        InputError: The ending or the competition is another, or the classes are not VOC's 20 in their order.
    """
    if competition not in COMPETITIONS:
        raise InputError(
            f"VOC's server has no competition '{competition}' for segmentation.",
            remedy=near_matches(competition, COMPETITIONS),
        )
    if not path.name.lower().endswith(ENDINGS):
        raise InputError(f"'{path}' is no name of a VOC archive.", remedy=f"Let it end in {' or '.join(ENDINGS)}.")
    if classes != VOC_CLASSES:
        raise InputError(
            f"VOC's server scores its {VOC_CLASSES.count} classes in their order, the segmenter knows {classes.count}: "
            f"{', '.join(classes.names[:3])} …",
            remedy="Give a segmenter that was trained on VOC.",
        )


def write_voc_export(path: Path, predictions: Path, ids: Iterable[str], *, competition: str = "comp6") -> None:
    """Write `results/VOC2012/Segmentation/COMPETITION_test_cls/NAME.png` of all images into one compressed archive.

    The label maps go in as they are: palette PNGs of 8 bits. NAME is the last part of an image's id, as in VOC's lists.

    Args:
        path: Archive to write, atomically.
        predictions: Folder of the label maps `ID.png`.
        ids: The images; the server wants all of its list.
        competition: One of `COMPETITIONS`.

    Raises:
        DataError: A label map is missing, damaged or has a label above 20; or two images have the same name.
        InputError: The archive cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import numpy as np
        >>> from ktse.data.image_io import write_label_map
        >>> with TemporaryDirectory() as folder:
        ...     write_label_map(Path(folder, "2008_000006.png"), np.array([[0, 15, 20]]))
        ...     write_voc_export(Path(folder, "ours.tgz"), Path(folder), ["2008_000006"])
        ...     tarfile.open(Path(folder, "ours.tgz")).getnames()
        ['results/VOC2012/Segmentation/comp6_test_cls/2008_000006.png']
    """
    folder = PurePosixPath("results/VOC2012/Segmentation", f"{competition}_test_cls")
    packed: set[str] = set()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for id_ in ids:
            file = predictions / f"{path_below(id_)}.png"
            if file.name in packed:
                raise DataError(f"two images are called '{file.stem}'.", remedy="Predict VOC's own images.")
            packed.add(file.name)
            highest = int(read_label_map(file).max())
            if highest > VOC_CLASSES.count:
                raise DataError(
                    f"'{file}' has label {highest}, expected 0..{VOC_CLASSES.count}.", remedy="Predict anew."
                )
            archive.add(file, str(folder / file.name), filter=_anonymous)
    write_bytes_atomic(path, buffer.getvalue())


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who made the file and when: equal predictions make equal archives."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member
