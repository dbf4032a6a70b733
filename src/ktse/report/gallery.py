"""Images of a run beside everything that the stages made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktse.artifacts import RunDirectory, read_cams
from ktse.data.classes import Classes
from ktse.data.dataset import Dataset
from ktse.data.image_io import MAX_PIXELS, read_label_map
from ktse.data.longest_side import nearest
from ktse.report.figures import (
    Picture,
    class_colours,
    fit_image,
    fit_scores,
    heat_overlay,
    jpeg_uri,
    mask_overlay,
)

PANEL_SIDE = 288
"""Pixels of a panel's longer side: three times a Shapes image, sharp on a phone, 15 kB."""

LabelMap = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture.

    Attributes:
        kind: `image`, `truth`, `cam`, `baseline cam`, `seed`, `mask` or `prediction`.
        title: What stands below it.
        description: What is to be seen, for those who do not see it.
        uri: The picture as a data URI.
    """

    kind: str
    title: str
    description: str
    uri: str


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One image with its panels.

    Attributes:
        id: Id of the image.
        tags: Classes that are said to be in it.
        panels: The image first, then whatever the run has of it.
    """

    id: str
    tags: tuple[int, ...]
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """Some images of one split.

    Attributes:
        title: Data set and split.
        total: Images of the split.
        exhibits: Those shown.
    """

    title: str
    total: int
    exhibits: tuple[Exhibit, ...]

    @property
    def widest(self) -> int:
        """Most panels of an image."""
        return max((len(exhibit.panels) for exhibit in self.exhibits), default=0)


def make_gallery(run: RunDirectory, dataset: Dataset, count: int, *, baseline: RunDirectory | None = None) -> Gallery:
    """Show images of a data set, evenly spaced in its list so that nobody has picked them.

    Args:
        run: Whatever of CAMs, seeds, masks and predictions it holds is shown.
        dataset: The images, with their true masks where there are some.
        count: Most images to show. Those of which the run holds nothing are passed over.
        baseline: Run of the plain classifier, whose CAMs are shown beside ours.
    """
    made = [index for index, id_ in enumerate(dataset.ids) if any(path.is_file() for path in _files(run, id_).values())]
    chosen = [made[place] for place in _evenly(len(made), count)]
    return Gallery(
        title=f"{dataset.name} {dataset.split}",
        total=len(dataset),
        exhibits=tuple(_exhibit(run, dataset, index, baseline) for index in chosen),
    )


def _evenly(total: int, count: int) -> list[int]:
    """Return up to `count` places in a list of `total`, evenly spaced.

    Example:
        >>> _evenly(10, 3), _evenly(2, 5), _evenly(0, 5)
        ([1, 5, 8], [0, 1], [])
    """
    count = min(total, count)
    return [int((number + 0.5) * total / count) for number in range(count)]


def _files(run: RunDirectory, id_: str) -> dict[str, Path]:
    """Return where the outputs for an image are, by the kind of their panel."""
    return {"cam": run.cams(id_), "seed": run.seed(id_), "mask": run.mask(id_), "prediction": run.prediction(id_)}


def _exhibit(run: RunDirectory, dataset: Dataset, index: int, baseline: RunDirectory | None) -> Exhibit:
    id_, tags = dataset.ids[index], tuple(np.flatnonzero(dataset.tags[index]).tolist())
    return Exhibit(id_, tags, tuple(_panels(run, dataset, index, baseline)))


def _panels(run: RunDirectory, dataset: Dataset, index: int, baseline: RunDirectory | None) -> Iterator[Panel]:
    id_, classes = dataset.ids[index], dataset.classes
    full = dataset.image(index)
    image = fit_image(full, PANEL_SIDE)
    draw_mask = _mask_drawer(image, classes)
    yield Panel("image", "image", f"image {id_}", jpeg_uri(image))
    truth = dataset.mask(index)
    if truth is not None:
        yield draw_mask("truth", "truth", truth)
    files = _files(run, id_)
    if baseline is not None and baseline.cams(id_).is_file():
        yield _cam_panel("baseline cam", "CAM, plain classifier", baseline.cams(id_), image, classes)
    if files["cam"].is_file():
        yield _cam_panel("cam", "CAM", files["cam"], image, classes)
    for kind, title in (("seed", "seed"), ("mask", "pseudo mask"), ("prediction", "prediction")):
        if files[kind].is_file():
            yield draw_mask(kind, title, read_label_map(files[kind], max_pixels=max(MAX_PIXELS, full[..., 0].size)))


def _mask_drawer(image: Picture, classes: Classes) -> Callable[[str, str, LabelMap], Panel]:
    """Return a function (kind, title, label map) → panel over this image."""
    colours = class_colours(classes.count)

    def draw(kind: str, title: str, mask: LabelMap) -> Panel:
        fitted = nearest(mask, (image.shape[0], image.shape[1]))
        picture = mask_overlay(image, fitted, colours, ignore_index=classes.ignore_index)
        return Panel(kind, title, f"{title}: {_contents(mask, classes)}", jpeg_uri(picture))

    return draw


def _cam_panel(kind: str, title: str, path: Path, image: Picture, classes: Classes) -> Panel:
    """Draw the strongest score of any present class."""
    cams = read_cams(path)
    names = ", ".join(classes.names[index] for index in cams.present) or "no class"
    strongest = cams.scores.max(0) if len(cams.present) else np.zeros(cams.scores.shape[1:])
    picture = heat_overlay(image, fit_scores(strongest, (image.shape[0], image.shape[1])))
    return Panel(kind, title, f"{title}: activation of {names}", jpeg_uri(picture))


def _contents(mask: LabelMap, classes: Classes) -> str:
    """Say how much of a label map each class covers."""
    labels, pixels = np.unique(mask[mask != classes.ignore_index], return_counts=True)
    shares = [
        f"{classes.names[label - 1]} {share:.0%}"
        for label, share in zip(labels.tolist(), (pixels / mask.size).tolist(), strict=True)
        if label > 0
    ]
    return ", ".join(shares) or "background only"
