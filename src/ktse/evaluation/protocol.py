"""What has to stand beside a score, so that another score can be compared with it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ktse.artifacts import git_commit
from ktse.config import Recipe
from ktse.data.dataset import Dataset
from ktse.errors import DataError

ThresholdSource = Literal["masks", "fixed", "none"]
"""Where a threshold comes from: the best one on the masks that are scored, a setting, or there is none."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Protocol:
    """How a score was made. None means that it is not known, as for predictions of another program.

    Attributes:
        dataset: Name of the data set.
        split: Name of the split.
        images: Images that were scored.
        images_without_mask: Images of the split that were left out because they have no true mask.
        recipe: Name of the recipe.
        random_seed: Random seed of the training.
        commit: Commit of the code.
        longest_side: Images with a longer side were reduced to it, px; but for predictions, their masks with them.
        scales: Sizes of the views, to the image.
        mirror: Whether mirror images were views too.
        view_merge: How the views were merged.
        inference_size: Side of the square that images were resized to, px; None also where they kept their size.
        networks: Networks whose predictions were averaged.
        crf: Whether a CRF took part.
        refinement: Steps between CAMs and masks.
        threshold: Background score; of IR labels, the CAM above which a pixel may be foreground.
        threshold_source: Where the threshold comes from.
        background_threshold: Of IR labels, the CAM below which a pixel may be background.
        cam_stride: Grid on which CAMs were kept, px; 1 for full size.
        labelled_only: Whether pixels without a label were left out.
        origins: What of the way to the score was made elsewhere, each in words with its file.
    """

    dataset: str
    split: str
    images: int
    images_without_mask: int = 0
    recipe: str | None = None
    random_seed: int | None = None
    commit: str | None = None
    longest_side: int | None = None
    scales: tuple[float, ...] | None = None
    mirror: bool | None = None
    view_merge: str | None = None
    inference_size: int | None = None
    networks: int | None = None
    crf: bool | None = None
    refinement: tuple[str, ...] | None = None
    threshold: float | None = None
    threshold_source: ThresholdSource = "none"
    background_threshold: float | None = None
    cam_stride: int | None = None
    labelled_only: bool = False
    origins: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return JSON values that `from_json` takes back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> Protocol:
        """Make a protocol of JSON values.

        Raises:
            DataError: They are not those of a protocol.
        """
        try:
            return TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise DataError(
                f"a score has no readable protocol ({'.'.join(map(str, first['loc']))}: {first['msg']}).",
                remedy="Run `ktse evaluate` again.",
            ) from error

    def in_words(self) -> str:
        """Return the protocol as one line for a table.

        Example:
            >>> protocol = Protocol(dataset="voc12", split="train", images=1464, threshold=0.21,
            ...                     threshold_source="masks", scales=(0.5, 1.0), mirror=True, crf=False)
            >>> protocol.in_words()
            'voc12 train, 1464 images; threshold 0.21 chosen on these masks; scales 0.5, 1, mirrored; no CRF'
        """
        left_out = f" ({self.images_without_mask} without mask left out)" if self.images_without_mask else ""
        parts = [f"{self.dataset} {self.split}, {self.images} images{left_out}"]
        if self.labelled_only:
            parts.append("labelled pixels only")
        if self.threshold is not None:
            source = "chosen on these masks" if self.threshold_source == "masks" else "fixed"
            parts.append(f"threshold {self.threshold:g} {source}")
        if self.background_threshold is not None:
            parts.append(f"background below {self.background_threshold:g}")
        parts += self._views_in_words()
        if self.refinement:
            parts.append(f"refined by {', '.join(step.upper() for step in self.refinement)}")
        if self.crf is not None:
            parts.append("with CRF" if self.crf else "no CRF")
        if self.cam_stride is not None:
            parts.append("CAM at full size" if self.cam_stride == 1 else f"CAM on a grid of {self.cam_stride} px")
        parts += self.origins
        if self.random_seed is not None:
            parts.append(f"random seed {self.random_seed}")
        if self.commit is not None:
            commit, _, changes = self.commit.partition("+")
            parts.append(f"commit {commit[:10]}{' with changes' if changes else ''}")
        return "; ".join(parts)

    def _views_in_words(self) -> list[str]:
        """Say which networks saw which views of an image."""
        parts = []
        if self.longest_side is not None:
            what = "images and masks" if self.networks is None else "images"
            parts.append(f"{what} reduced to at most {self.longest_side} px")
        if self.networks is not None and self.networks > 1:
            parts.append(f"mean of {self.networks} networks")
        if self.inference_size is not None:
            parts.append(f"images resized to {self.inference_size} x {self.inference_size}")
        if self.scales is not None:
            views = f"scale{'s' if len(self.scales) > 1 else ''} {', '.join(f'{scale:g}' for scale in self.scales)}"
            parts.append(views + (", mirrored" if self.mirror else ""))
        if self.view_merge is not None:
            parts.append(f"views merged by {self.view_merge.replace('_', ' ')}")
        return parts


def protocol_of(stage: str, dataset: Dataset, recipe: Recipe | None, *, images: int) -> Protocol:
    """Return the protocol of a stage's score as the recipe settles it.

    Args:
        stage: As of `Score`, or any name for label maps from elsewhere.
        dataset: What was scored.
        recipe: The recipe of the run; None for label maps from elsewhere.
        images: Images that were scored; the others of the data set have no mask.
    """
    known: dict[str, Any] = {}
    if recipe is not None:
        known = {"recipe": recipe.name, "random_seed": recipe.runtime.random_seed, "commit": git_commit()}
        known["longest_side"] = recipe.data.longest_side
        known |= _of_predictions(recipe) if stage == "predictions" else _of_cams(stage, recipe)
    return Protocol(
        dataset=dataset.name,
        split=dataset.split,
        images=images,
        images_without_mask=len(dataset) - images,
        **known,
    )


def _of_predictions(recipe: Recipe) -> dict[str, Any]:
    """Return what the predictions of a segmenter depend on."""
    settings = recipe.segmentation
    return {
        "scales": settings.scales,
        "mirror": settings.mirror,
        "view_merge": settings.view_merge,
        "inference_size": settings.inference_size,
        "networks": 2 if settings.method == "co_training" else 1,
        "crf": settings.use_crf,
    }


def _of_cams(stage: str, recipe: Recipe) -> dict[str, Any]:
    """Return what CAMs depend on, and what was made of them."""
    views, refinement = recipe.localization, recipe.refinement
    known: dict[str, Any] = {"scales": views.scales, "mirror": views.mirror, "view_merge": views.view_merge}
    known |= {"cam_stride": views.cam_stride, "crf": False}
    match stage:
        case "ir_labels":
            known |= {
                "crf": True,
                "threshold": refinement.irn.foreground_threshold,
                "threshold_source": "fixed",
                "background_threshold": refinement.irn.background_threshold,
                "labelled_only": True,
            }
        case "steps" | "masks":
            steps = refinement.steps
            known |= {
                "refinement": steps,
                "crf": "crf" in steps,
                "threshold": refinement.irn.background_score if "irn" in steps else refinement.background_score,
                "threshold_source": "fixed",
            }
    return known
