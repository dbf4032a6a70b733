"""The types in which the stages meet, and the letters that name the axes of every tensor.

B  images in a batch          P  pairs in a batch (the first P of its B images)
K  foreground classes         L  labels, K + 1 with background as label 0
H, W  image height, width     h, w  feature-map height, width
D  feature channels           T  thresholds
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # types.py is imported by the command line, which must not wait for torch
    from torch import Tensor

IGNORE_INDEX = 255
"""The label of a pixel that no loss and no score counts (VOC's convention)."""

PREDICTIONS_FILE = "predictions.json"
"""File beside predicted label maps that says which model and settings made them, and what their labels mean."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a data set with what is known of it.

    Attributes:
        id: Path of the image below the data root without its ending, percent-escaped.
        image: (H, W, 3) uint8, RGB.
        tags: (K,) bool, True where the class is said to be in the image.
        mask: (H, W) integer label map for scoring, or None. Training never sees it.
    """

    id: str
    image: NDArray[np.uint8]
    tags: NDArray[np.bool_]
    mask: NDArray[np.integer[Any]] | None = None


@dataclass(frozen=True, slots=True)
class PairBatch:
    """A batch for the localizer: B anchors, and a pair for each of the first P of them.

    Attributes:
        images: (B, 3, H, W) normalised anchors.
        tags: (B, K) float32 in {0, 1}.
        paired_images: (P, 3, H, W) normalised pairs; P = 0 during warm-up.
        paired_tags: (P, K) float32 in {0, 1}.
        paste_region: (P, 1, H, W) bool, where the pair is pasted into the anchor; only for `join="cutmix"`.
    """

    images: Tensor
    tags: Tensor
    paired_images: Tensor
    paired_tags: Tensor
    paste_region: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalizerOutput:
    """What the localizer says of a batch.

    Attributes:
        cam_with_background: (B, K+1, h, w) raw class activation features, channel 0 = background.
        logits: (B, K) tag logits, from the foreground channels only.
        gated: (B, K, h, w) output of the gates of GPP, or None.
    """

    cam_with_background: Tensor
    logits: Tensor
    gated: Tensor | None = None

    @property
    def cam(self) -> Tensor:
        """(B, K, h, w) raw foreground activation: no ReLU, not normalised."""
        return self.cam_with_background[:, 1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterOutput:
    """What a segmentation network says of a batch.

    Attributes:
        pre_logits: (B, L, h, w) on the grid of the network.
        logits: (B, L, H, W) resized to the input.
    """

    pre_logits: Tensor
    logits: Tensor


@dataclass(frozen=True, slots=True)
class CamSet:
    """The class activation maps of one image, as they are kept on disk.

    Attributes:
        scores: (P, h, w) in [0, 1], float16 on disk; one map for each present class.
        present: (P,) int64, the classes (0 .. K-1) in ascending order.
        size: (H, W) of the image.
    """

    scores: NDArray[np.floating[Any]]
    present: NDArray[np.int64]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class LossTerms:
    """All losses of a step under their own names.

    Attributes:
        terms: Name to unweighted 0-d tensor, only of the terms that were computed.
        total: 0-d tensor, the weighted sum that is minimised.
        pseudo_labels: (B, H, W) int64 labels that the step made for itself (255 = ignore), or None.
        monitors: Name to 0-d tensor of what is watched but not minimised, such as the share of ignored pixels.
    """

    terms: Mapping[str, Tensor]
    total: Tensor
    pseudo_labels: Tensor | None = field(default=None)
    monitors: Mapping[str, Tensor] = field(default_factory=dict)
