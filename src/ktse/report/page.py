"""The report of a run: one file that needs nothing else, for a browser, a phone or a printer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ktse.artifacts import RunDirectory, read_json, read_log, write_bytes_atomic
from ktse.config import Recipe
from ktse.data.dataset import Dataset
from ktse.errors import DataError
from ktse.evaluation.score import read_scores
from ktse.report.curves import Curve, curve_uri, loss_curves
from ktse.report.figures import class_colours
from ktse.report.gallery import Gallery, make_gallery
from ktse.report.score_table import TitledScore, score_title, shown_columns
from ktse.report.settings import setting_rows


def write_report(
    run: RunDirectory, *, train: Dataset, val: Dataset, recipe: Recipe, baseline: RunDirectory | None = None
) -> None:
    """Write `report.html`: scores with their protocol, failures by class, losses, galleries and settings.

    Whatever the run does not hold (yet) is left out, so that a report can be written after any stage.

    Args:
        run: The run; gets `report.html`.
        train: Images that were learned from.
        val: Images that were predicted; may be the same.
        recipe: The recipe of the run. `evaluation.gallery` images are shown, shared between the two.
        baseline: Run of the plain classifier, whose CAMs are shown beside ours.

    Raises:
        DataError: A file of the run is damaged; it is named.
        InputError: The report cannot be written.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    scores = read_scores(run)
    environment = Environment(
        loader=PackageLoader("ktse.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    page = environment.get_template("report.html.jinja").render(
        recipe=recipe,
        classes=_legend(train),
        dataset=train,
        scores=[TitledScore(score_title(score), score) for score in scores],
        score_columns=shown_columns(scores),
        curves=_drawn(loss_curves(read_log(run.log()))),
        galleries=_galleries(run, train, val, recipe.evaluation.gallery, baseline),
        settings=setting_rows(recipe),
        manifest=_manifest(run),
    )
    write_bytes_atomic(run.report, page.encode())


def percent(value: float | None) -> str:
    """Return a percentage with one decimal, a dash where there is none.

    Example:
        >>> percent(50.25), percent(None)
        ('50.2', '–')
    """
    return "–" if value is None or value != value else f"{value:.1f}"


def _manifest(run: RunDirectory) -> dict[str, Any]:
    """Return what the run says of its making; nothing if it says nothing."""
    if not run.manifest.is_file():
        return {}
    manifest = read_json(run.manifest)
    if not isinstance(manifest, dict) or not {"command", "commit", "machine", "versions", "started"} <= manifest.keys():
        raise DataError(f"'{run.manifest}' does not say how the run was made.", remedy="Delete it.")
    return manifest


def _legend(dataset: Dataset) -> list[tuple[str, str]]:
    """Return name and colour of each class."""
    colours = class_colours(dataset.classes.count).tolist()
    return [
        (name, f"rgb({red}, {green}, {blue})")
        for name, (red, green, blue) in zip(dataset.classes.names, colours, strict=True)
    ]


def _drawn(curves: Sequence[Curve]) -> Mapping[str, list[tuple[Curve, str]]]:
    """Return each curve with its drawing, by training."""
    drawn: dict[str, list[tuple[Curve, str]]] = {}
    for curve in curves:
        drawn.setdefault(curve.stage, []).append((curve, curve_uri(curve)))
    return drawn


def _galleries(
    run: RunDirectory, train: Dataset, val: Dataset, count: int, baseline: RunDirectory | None
) -> list[Gallery]:
    """Share the images to be shown between the two splits, or give them all to the one there is."""
    if train.ids == val.ids:
        shares: list[tuple[Dataset, int]] = [(train, count)]
    else:
        shares = [(train, count - count // 2), (val, count // 2)]
    galleries = [make_gallery(run, dataset, share, baseline=baseline) for dataset, share in shares]
    return [gallery for gallery in galleries if gallery.exhibits]
