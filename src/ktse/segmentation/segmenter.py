"""A trained segmenter, ready for use: from an image as it is to a label map of its size."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktse.config import Recipe, SegmentationSettings
from ktse.data.classes import Classes
from ktse.data.transforms import normalize
from ktse.errors import InputError
from ktse.nets.deeplab import DeepLab, build_deeplab
from ktse.ops.resize import resize_to
from ktse.types import SegmenterOutput


class Segmenter:
    """A network with all that it needs to see images as in its training, and to name what it sees.

    Args:
        network: Put into evaluation mode; work is done on its device.
        classes: What its labels mean.
        recipe: `data.mean` and `data.std` of the images, `segmentation.scales` and `segmentation.mirror` of the views.

    Example:
        >>> from ktse.recipes import load_recipe
        >>> recipe, classes = load_recipe("demo"), Classes(("cat", "dog"))
        >>> network = build_network(recipe.segmentation, num_labels=classes.num_labels, weights=None)
        >>> segmenter = Segmenter(network, classes, recipe)
        >>> segmenter.predict(np.zeros((20, 31, 3), np.uint8)).shape
        (20, 31)
    """

    def __init__(self, network: DeepLab, classes: Classes, recipe: Recipe) -> None:
        self.network = network.eval()
        self.classes = classes
        self.recipe = recipe

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.integer[Any]]:
        """Return the label of each pixel.

        Args:
            image: (H, W, 3) uint8, RGB.

        Returns:
            (H, W) label map, 0 background, k + 1 class k; uint8, or uint16 above 254 classes.

        Raises:
            InputError: The image is of another shape or type.
        """
        labels: NDArray[np.integer[Any]] = self.predict_batch(image[None])[0]
        return labels

    def predict_batch(self, images: NDArray[np.uint8]) -> NDArray[np.integer[Any]]:
        """Return the labels (N, H, W) of images (N, H, W, 3) of one size; otherwise as `predict`."""
        kind = np.uint8 if self.classes.count < np.iinfo(np.uint8).max else np.uint16
        labels: NDArray[np.integer[Any]] = self.scores(images).argmax(1).cpu().numpy().astype(kind)
        return labels

    @torch.inference_mode()
    def scores(self, images: NDArray[np.uint8]) -> Tensor:
        """Return the probability of each label: the mean over views of the softmax, at the size of the images.

        Args:
            images: (N, H, W, 3) uint8, RGB.

        Returns:
            (N, L, H, W) in [0, 1], on the device of the network; they sum to 1 over the labels.

        Raises:
            InputError: The images are of another shape or type.
        """
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8 or 0 in images.shape:
            raise InputError(
                f"got an image of shape {images.shape[1:]} and type {images.dtype}, expected (H, W, 3) uint8 (RGB)."
            )
        data, settings = self.recipe.data, self.recipe.segmentation
        device = next(self.network.parameters()).device
        normalized = torch.from_numpy(normalize(images, data.mean, data.std))
        upright = normalized.permute(0, 3, 1, 2).contiguous().to(device)  # (N, H, W, 3) -> (N, 3, H, W)
        size = (images.shape[1], images.shape[2])
        total = torch.zeros(len(images), self.classes.num_labels, *size, device=device)
        for scale in settings.scales:
            view = resize_to(upright, (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))))
            total += self._softmax(view, size)
            if settings.mirror:
                total += self._softmax(view.flip(-1), size).flip(-1)
        return total / (len(settings.scales) * (2 if settings.mirror else 1))

    def _softmax(self, view: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the probabilities that one view gives, at the size of the image."""
        output: SegmenterOutput = self.network(view)
        return resize_to(output.pre_logits.float(), size).softmax(1)


def build_network(settings: SegmentationSettings, *, num_labels: int, weights: str | None) -> DeepLab:
    """Build the network that a recipe describes."""
    return build_deeplab(
        settings.trunk, num_labels, weights, output_stride=settings.output_stride, dilations=settings.aspp_dilations
    )
