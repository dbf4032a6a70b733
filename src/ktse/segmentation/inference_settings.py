"""Which settings of segmentation belong to prediction: a change of them leaves a training as it is."""

from __future__ import annotations

from typing import Final

INFERENCE_SETTINGS: Final = frozenset(
    {
        "scales",
        "mirror",
        "view_merge",
        "inference_size",
        "tile_size",
        "tile_overlap",
        "use_crf",
        "crf",
        "crf_image",
    }
)
"""Names in `SegmentationSettings`."""
