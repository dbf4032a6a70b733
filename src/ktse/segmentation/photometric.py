"""Random changes of colour and sharpness, made after mixing (REFERENCE 6.2).

A change is drawn for each image as seven numbers, all 0 for none; then the changes are applied to a batch at once.

| number | meaning |
|---|---|
| brightness | added to red, green and blue |
| contrast | 1 + contrast multiplies red, green and blue, before brightness is added |
| hue | added to the hue, degrees |
| saturation, value | added to saturation and value |
| grey | 1 for a grey image |
| blur | side of the kernel of a Gaussian blur, px; 0 for none |

As published up to two things: colours are true RGB, where published code confuses red and blue, and they are not
rounded to 8 bits between the changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktse.config import CoTrainingSettings

SEXTANT = 60.0
"""Degrees of hue between two neighbours among red, yellow, green, cyan, blue, magenta."""


def draw_change(settings: CoTrainingSettings, generator: np.random.Generator) -> NDArray[np.float32]:
    """Draw the change of one image.

    Args:
        settings: Chances and largest changes.
        generator: Source of the draws.

    Returns:
        (7,), in the order of the table above.

    Example:
        >>> never = CoTrainingSettings(colour_probability=0, grey_probability=0, blur_probability=0)
        >>> draw_change(never, np.random.default_rng(0)).any()
        np.False_
    """
    largest = (settings.brightness, settings.contrast, settings.hue, settings.saturation, settings.value)
    has_new_colours = generator.random() < settings.colour_probability
    colours = generator.uniform(-1, 1, len(largest)) * largest * has_new_colours
    grey = generator.random() < settings.grey_probability
    blur = (generator.random() < settings.blur_probability) * generator.choice(settings.blur_sizes)
    return np.array([*colours, grey, blur], dtype=np.float32)


def apply_changes(images: Tensor, changes: Tensor, *, blur_sizes: Sequence[int]) -> Tensor:
    """Apply to each image its change, in the precision of the images: autocast is off meanwhile.

    Args:
        images: (B, 3, H, W) RGB in [0, 1].
        changes: (B, 7), of `draw_change`.
        blur_sizes: The sides of kernels that `changes` may hold, px.

    Returns:
        (B, 3, H, W) RGB in [0, 1].

    Example:
        >>> brighter_and_grey = torch.tensor([[0.25, 0, 0, 0, 0, 1, 0]])
        >>> apply_changes(torch.full((1, 3, 8, 8), 0.5), brighter_and_grey, blur_sizes=(3,))[0, :, 0, 0]
        tensor([0.7499, 0.7499, 0.7499])
    """
    from torchvision.transforms.functional import gaussian_blur, rgb_to_grayscale

    brightness, contrast, hue, saturation, value, grey, blur = changes.T[..., None, None, None]  # each (B, 1, 1, 1)
    # in half precision the blur, a convolution, would be wrong by up to a step of colour
    with torch.autocast(images.device.type, enabled=False):
        images = (images * (1 + contrast) + brightness).clamp(0, 1)
        images = shift_hsv(images, torch.cat([hue, saturation, value], dim=1))
        images = torch.where(grey > 0, rgb_to_grayscale(images, num_output_channels=3), images)
        for side in blur_sizes:
            images = torch.where(blur == side, gaussian_blur(images, [side, side]), images)
    return images


def shift_hsv(images: Tensor, shift: Tensor) -> Tensor:
    """Shift hue (which goes round), saturation and value (which stop at 0 and 1); no shift leaves an image as it is.

    Args:
        images: (B, 3, H, W) RGB in [0, 1].
        shift: (B, 3, 1, 1), the hue in degrees.

    Returns:
        (B, 3, H, W) RGB in [0, 1].
    """
    hue, saturation, value = (rgb_to_hsv(images) + shift).unbind(1)
    shifted = hsv_to_rgb(torch.stack([hue, saturation.clamp(0, 1), value.clamp(0, 1)], dim=1))
    return torch.where((shift != 0).any(dim=1, keepdim=True), shifted, images)


def rgb_to_hsv(images: Tensor) -> Tensor:
    """Convert red, green, blue in [0, 1] to hue in degrees, saturation and value in [0, 1]: (B, 3, H, W).

    Grey has hue 0, and black saturation 0.

    Example:
        >>> rgb_to_hsv(torch.tensor([0.0, 0.5, 0.0]).reshape(1, 3, 1, 1)).flatten()
        tensor([120.0000,   1.0000,   0.5000])
    """
    red, green, blue = images.unbind(1)
    value, strongest = images.max(dim=1)
    chroma = value - images.amin(dim=1)
    differences = torch.stack([green - blue, blue - red, red - green], dim=1).gather(1, strongest[:, None])[:, 0]
    hue = (2 * strongest + differences / chroma.where(chroma > 0, 1)) * SEXTANT % (6 * SEXTANT)
    return torch.stack([hue, chroma / value.where(value > 0, 1), value], dim=1)


def hsv_to_rgb(images: Tensor) -> Tensor:
    """Convert hue in degrees (of any range), saturation and value to red, green, blue: (B, 3, H, W).

    Example:
        >>> hsv_to_rgb(torch.tensor([480.0, 1.0, 0.5]).reshape(1, 3, 1, 1)).flatten()
        tensor([0.0000, 0.5000, 0.0000])
    """
    hue, saturation, value = images.unsqueeze(2).unbind(1)  # each (B, 1, H, W)
    start = images.new_tensor([5.0, 3.0, 1.0])[:, None, None]  # sextants by which red, green and blue lag behind
    sextant = (start + hue / SEXTANT) % 6
    missing = torch.minimum(sextant, 4 - sextant).clamp(0, 1)
    return value * (1 - saturation * missing)
