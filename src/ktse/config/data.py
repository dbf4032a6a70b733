"""Settings of the data: which set, which splits, how images enter a network."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat

from ktse.config.setting import CODE, OURS, Section, setting


class DataSettings(Section):
    """Which images, and how they are normalised."""

    kind: Literal["shapes", "folder", "voc12", "coco14"] = setting(
        "voc12", "reader of the data set", "paper 4.1: VOC 2012 is the main data set"
    )
    train_split: str = setting("trainaug", "split whose tags are learned from", "paper 4.1: 10,582 images")
    score_split: str = setting(
        "train", "split on whose masks seeds and pseudo masks are scored", "paper Tab. 1: VOC train, 1,464 images"
    )
    val_split: str = setting("val", "split on whose masks the segmenter is scored", "paper 4.1")
    max_images: int | None = setting(
        None, "use only this many images of the training split, a fixed random subset", f"{OURS}: for quick looks", ge=1
    )
    world_seed: int = setting(
        0, "random seed of the Shapes world; another seed is another data set", f"{OURS}: Shapes only", ge=0
    )
    shapes_train: int = setting(480, "training images of the Shapes world", f"{OURS}: seconds to draw", ge=1)
    shapes_val: int = setting(200, "validation images of the Shapes world", f"{OURS}: seconds to draw", ge=1)
    max_pixels: int = setting(
        178_956_970,
        "largest image that is decoded; larger ones are refused before they are unpacked",
        f"{OURS}: the limit at which Pillow itself refuses",
        unit="pixels",
        ge=1,
    )
    longest_side: int | None = setting(
        None,
        "images with a longer side are reduced to it where networks see them and pseudo masks are made, predictions "
        "are enlarged again; null keeps their size",
        f"{OURS}: the photographs of a camera would be seen at many times the scale of training",
        unit="px",
        ge=32,
    )
    sbd: str | None = setting(
        None,
        "folder of SBD, whose lists and masks complete VOC's; null looks for it in and beside the VOC folder",
        f"{OURS}: no folder has to be made by hand",
    )
    voc_tags: Literal["xml", "masks"] = setting(
        "xml",
        "where tags of VOC come from: objects of the annotations, or labels of the masks",
        f"{CODE}: REFERENCE 2.1",
    )
    voc_difficult: bool = setting(
        True, "whether objects that VOC's annotations call difficult count as tags", f"{CODE}: REFERENCE 2.1"
    )
    coco_images_without_objects: bool = setting(
        True,
        "whether training images of COCO without annotations belong to the set, untagged: 82,783 images, else 82,081",
        f"{OURS}: the whole of train2014; the paper says about 80,000; other splits always keep theirs, so that scores "
        "stay comparable",
    )
    mask_cache: str | None = setting(
        None,
        "folder where label maps painted from COCO's annotations are kept as PNGs; null paints them each time",
        f"{OURS}: nothing is written that nobody asked for",
    )
    mean: tuple[float, float, float] = setting(
        (0.485, 0.456, 0.406), "mean of red, green, blue that is subtracted", f"{CODE}: ImageNet's (REFERENCE 2.1)"
    )
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = setting(
        (0.229, 0.224, 0.225), "deviation of red, green, blue that is divided by", f"{CODE}: ImageNet's (REFERENCE 2.1)"
    )
