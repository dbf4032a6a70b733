"""From settings and a path to a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from ktse.config import DataSettings
from ktse.data.coco import COCO14
from ktse.data.dataset import Dataset
from ktse.data.folder import Folder, list_splits, tag_files
from ktse.data.shapes import Shapes
from ktse.data.voc import VOC12
from ktse.data.voc_splits import TRAINAUG, has_trainaug
from ktse.errors import DataError, near_matches

_SUBSET_KEY: Final = 0  # constant, so that every run of every recipe looks at the same images


def open_dataset(settings: DataSettings, path: Path | None, split: str, *, full_size: bool = False) -> Dataset:
    """Open one split of the data set that the settings name.

    `max_images` cuts the training split down to a fixed random subset; other splits stay whole. `longest_side` reduces
    large images, unless their full size is asked for.

    Args:
        settings: Kind of data set and limits.
        path: Root of the data set; None for Shapes, which is drawn.
        split: Name of the split.
        full_size: Leave images and masks as large as they are.

    Returns:
        The data set.

    Raises:
        DataError: No path, one for Shapes, or the data set at the path is not as it has to be.

    Example:
        >>> settings = DataSettings(kind="shapes", train_split="train", max_images=10)
        >>> len(open_dataset(settings, None, "train")), len(open_dataset(settings, None, "val"))
        (10, 200)
    """
    dataset = _open_whole(settings, path, split)
    if settings.longest_side is not None and not full_size:
        dataset = dataset.reduced(settings.longest_side)
    if split != settings.train_split or settings.max_images is None or settings.max_images >= len(dataset):
        return dataset
    chosen = np.random.default_rng(_SUBSET_KEY).permutation(len(dataset))[: settings.max_images]
    return dataset.subset(np.sort(chosen).tolist())


def has_split(settings: DataSettings, path: Path | None, split: str) -> bool:
    """Return whether a data set has a split, in whose place that of training can stand.

    A folder may lack the splits that nobody has asked for: those that settings name by default. Data sets of other
    kinds have all of theirs, or say what is missing when they are opened.

    Raises:
        DataError: A folder lacks a split that the settings name otherwise than by default: most likely a slip.

    Example:
        >>> has_split(DataSettings(kind="shapes"), None, "val")
        True
    """
    if settings.kind != "folder" or path is None or not path.is_dir():
        return True
    known = list_splits(path)
    if split in known or tag_files(path, split):  # a file with a fault in it is still the split
        return True
    asking = [key for key in ("score_split", "val_split") if getattr(settings, key) == split]
    if all(DataSettings.model_fields[key].default == split for key in asking):
        return False
    raise DataError(
        f"'{path}' has no split '{split}', which data.{asking[0]} names.", remedy=near_matches(split, known)
    )


def guess_settings(path: Path) -> DataSettings:
    """Return the settings of the data set whose layout a folder has: VOC, COCO, else a plain folder.

    Example:
        >>> guess_settings(Path("my-photos")).kind
        'folder'
    """
    if (path / "ImageSets" / "Segmentation").is_dir():
        return DataSettings(kind="voc12", train_split=TRAINAUG if has_trainaug(path) else "train")
    if any((path / "annotations").glob("instances_*.json")):
        return DataSettings(kind="coco14", train_split="train")
    return DataSettings(kind="folder", train_split="train")


def _open_whole(settings: DataSettings, path: Path | None, split: str) -> Dataset:
    if settings.kind == "shapes":
        if path is not None:
            raise DataError(
                f"data of kind 'shapes' are drawn and need no folder, got '{path}'.",
                remedy="Leave the folder away (--data), or take a recipe for own images, such as folder/cpu.",
            )
        count = settings.shapes_train if split == "train" else settings.shapes_val
        return Shapes(split, world_seed=settings.world_seed, count=count)
    if path is None:
        raise DataError(
            f"data of kind '{settings.kind}' needs a path, got none.", remedy="Give its folder: --data PATH."
        )
    match settings.kind:
        case "folder":
            return Folder(path, split, max_pixels=settings.max_pixels)
        case "voc12":
            return VOC12(
                path,
                split,
                tags_from=settings.voc_tags,
                difficult=settings.voc_difficult,
                sbd=settings.sbd,
                max_pixels=settings.max_pixels,
            )
        case "coco14":
            return COCO14(
                path,
                split,
                images_without_objects=settings.coco_images_without_objects or split != settings.train_split,
                mask_cache=settings.mask_cache,
                max_pixels=settings.max_pixels,
            )
