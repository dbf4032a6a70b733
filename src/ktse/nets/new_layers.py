"""First weights of the layers that no one has trained before."""

from __future__ import annotations

from torch import nn

INITIAL_DEVIATION = 0.01
"""Standard deviation of the first weights of a segmenter's new layers (REFERENCE 6.1)."""


def draw_new_layers(module: nn.Module) -> None:
    """Draw every convolution of `module` from N(0, 0.01) and set its bias to 0, in place.

    Example:
        >>> layer = nn.Conv2d(1, 2, 3)
        >>> draw_new_layers(layer)
        >>> layer.bias.tolist()
        [0.0, 0.0]
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=INITIAL_DEVIATION)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
