"""What every trunk is: a feature extractor that knows its width and its stride."""

from __future__ import annotations

from torch import nn


class Trunk(nn.Module):
    """A feature extractor: images (B, 3, H, W) in, features (B, D, h, w) out, h = ceil(H / stride).

    Attributes:
        channels: D, channels of the features.
        stride: Pixels of the image per cell of the features.
    """

    channels: int
    stride: int
