"""Miniature VOCdevkit and SBD trees in the layouts of their archives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

OBJECT = """
	<object>
		<name>{name}</name>
		<pose>Unspecified</pose>
		<truncated>0</truncated>
		<difficult>{difficult}</difficult>
		<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>3</ymax></bndbox>
		<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>
	</object>"""
ANNOTATION = """<annotation>
	<folder>VOC2012</folder>
	<filename>{id}.jpg</filename>
	<source><database>The VOC2007 Database</database><annotation>PASCAL VOC2007</annotation></source>
	<size><width>8</width><height>6</height><depth>3</depth></size>
	<segmented>1</segmented>{objects}
</annotation>
"""


def annotation(id_: str, objects: Sequence[tuple[str, bool]]) -> str:
    """Return VOC's XML of an image with objects of (class, difficult)."""
    written = "".join(OBJECT.format(name=name, difficult=int(difficult)) for name, difficult in objects)
    return ANNOTATION.format(id=id_, objects=written)


def add_image(root: Path, id_: str, objects: Sequence[tuple[str, bool]] | None = None) -> None:
    """Add a photograph to a VOC2012, and its annotation unless there is none."""
    for folder in ("JPEGImages", "Annotations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (200, 100, 50)).save(root / "JPEGImages" / f"{id_}.jpg")
    if objects is not None:
        (root / "Annotations" / f"{id_}.xml").write_text(annotation(id_, objects))


def add_list(root: Path, split: str, lines: Sequence[str]) -> None:
    """Add a list of a split to a VOC2012."""
    folder = root / "ImageSets" / "Segmentation"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{split}.txt").write_text("".join(f"{line}\n" for line in lines))


def add_mask(root: Path, id_: str, mask: Any, folder: str = "SegmentationClass") -> None:
    """Add a label map as VOC stores them: a palette PNG whose index is the label."""
    image = Image.fromarray(np.asarray(mask, dtype=np.uint8))
    image.putpalette([value for index in range(256) for value in (index, 255 - index, 7)])
    (root / folder).mkdir(parents=True, exist_ok=True)
    image.save(root / folder / f"{id_}.png")


def add_sbd_mask(sbd: Path, id_: str, mask: Any, *, compressed: bool = True) -> Path:
    """Add a label map as SBD stores them: boundaries of each class, the label map, the classes that are there."""
    from scipy.io import savemat
    from scipy.sparse import csc_array

    labels: NDArray[np.uint8] = np.asarray(mask, dtype=np.uint8)
    boundaries = np.empty((20, 1), dtype=object)
    for index in range(20):
        boundaries[index, 0] = csc_array(labels == index + 1)
    present = np.setdiff1d(labels, [0])[:, None]
    content = {"Boundaries": boundaries, "Segmentation": labels, "CategoriesPresent": present}
    path = sbd / "cls" / f"{id_}.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"GTcls": content}, do_compression=compressed)
    return path


def add_sbd_lists(sbd: Path, train: Sequence[str], val: Sequence[str]) -> None:
    """Add the two lists of SBD."""
    sbd.mkdir(parents=True, exist_ok=True)
    for name, ids in (("train", train), ("val", val)):
        (sbd / f"{name}.txt").write_text("".join(f"{id_}\n" for id_ in ids))


def make_voc(folder: Path) -> Path:
    """Make VOCdevkit/VOC2012 below a folder: two images of train, one of val, one of SBD alone, one of test."""
    root = folder / "VOCdevkit" / "VOC2012"
    add_image(root, "2007_000032", [("person", True), ("dog", False), ("dog", False)])
    add_image(root, "2007_000039", [("tvmonitor", False)])
    add_image(root, "2007_000033", [("aeroplane", False)])
    add_image(root, "2008_000002", [("cat", False)])
    add_image(root, "2008_000006")
    for split, ids in {
        "train": ["2007_000032", "2007_000039"],
        "val": ["2007_000033"],
        "trainval": ["2007_000032", "2007_000033", "2007_000039"],
        "test": ["2008_000006"],
    }.items():
        add_list(root, split, ids)
    columns = np.arange(8)[None, :].repeat(6, axis=0)
    add_mask(root, "2007_000032", np.select([columns < 2, columns < 4, columns < 5], [0, 15, 255], 12))
    add_mask(root, "2007_000039", np.where(columns < 4, 0, 20))
    add_mask(root, "2007_000033", np.where(columns < 4, 255, 1))
    return root


def make_sbd(folder: Path) -> Path:
    """Make benchmark_RELEASE/dataset below a folder: an image of its own, and one each of VOC's train and val."""
    sbd = folder / "benchmark_RELEASE" / "dataset"
    add_sbd_lists(sbd, train=["2008_000002", "2007_000032"], val=["2007_000033"])
    columns = np.arange(8)[None, :].repeat(6, axis=0)
    add_sbd_mask(sbd, "2008_000002", np.where(columns < 3, 8, 0))
    add_sbd_mask(sbd, "2007_000032", np.zeros((6, 8)))
    add_sbd_mask(sbd, "2007_000033", np.zeros((6, 8)))
    return sbd
