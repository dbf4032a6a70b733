"""A trained segmenter, ready for use: from an image as it is to a label map of its size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ktse.config import Recipe, SegmentationSettings, replace
from ktse.data.classes import Classes
from ktse.data.longest_side import reduced_image
from ktse.data.transforms import normalize
from ktse.errors import InputError
from ktse.nets.deeplab import DeepLab, build_deeplab
from ktse.nets.deeplab_pair import DeepLabPair, build_deeplab_pair
from ktse.ops.crf_refinement import refine_by_crf
from ktse.ops.wrapped_image import wrapped_image
from ktse.segmentation.inference_settings import INFERENCE_SETTINGS
from ktse.segmentation.tiles import Piece, Score, blended_tiles, tile_spans
from ktse.segmentation.views import probabilities_of, view_grids


class Segmenter:
    """A network with all that it needs to see images as in its training, and to name what it sees.

    An image is seen in several views (`segmentation.scales`, `.mirror`): at its own size, reduced as those of the
    training were (`data.longest_side`), or resized to a square (`segmentation.inference_size`). A dense CRF may follow
    (`.use_crf`). What is larger than `segmentation.tile_size` is dealt with in tiles that overlap, so that memory does
    not grow with the number of labels times that of pixels: at its own size the network sees tile after tile, else it
    sees the whole image and its scores are enlarged tile by tile.

    Args:
        network: Put into evaluation mode; work is done on its device.
        classes: What its labels mean.
        recipe: `data.mean`, `data.std` and `data.longest_side` of the images, and the settings of `segmentation` named
            above.

    Example:
        >>> from ktse.recipes import load_recipe
        >>> recipe, classes = load_recipe("demo"), Classes(("cat", "dog"))
        >>> network = build_network(recipe.segmentation, num_labels=classes.num_labels, weights=None)
        >>> segmenter = Segmenter(network, classes, recipe)
        >>> segmenter.predict(np.zeros((20, 31, 3), np.uint8)).shape
        (20, 31)
    """

    def __init__(self, network: DeepLab | DeepLabPair, classes: Classes, recipe: Recipe) -> None:
        self.network = network.eval()
        self.classes = classes
        self.recipe = recipe

    def with_settings_of(self, recipe: Recipe) -> Segmenter:
        """Return a segmenter with the same network and other views; how images are normalised and reduced stays."""
        seen = recipe.segmentation.model_dump(include=set(INFERENCE_SETTINGS))
        return Segmenter(self.network, self.classes, replace(self.recipe, segmentation=seen))

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.integer[Any]]:
        """Return the label of each pixel.

        Args:
            image: (H, W, 3) uint8, RGB, of any size.

        Returns:
            (H, W) label map, 0 background, k + 1 class k; uint8, or uint16 above 254 classes.

        Raises:
            InputError: The image is of another shape or type.
        """
        labels: NDArray[np.integer[Any]] = self.predict_batch(image[None])[0]
        return labels

    def predict_batch(
        self, images: NDArray[np.uint8], *, watch: Callable[[Piece], None] | None = None
    ) -> NDArray[np.integer[Any]]:
        """Return the labels (N, H, W) of images (N, H, W, 3) of one size; otherwise as `predict`.

        Args:
            images: Stacked images.
            watch: Is shown each piece of the probabilities.
        """
        kind = np.uint8 if self.classes.count < np.iinfo(np.uint8).max else np.uint16
        labels = np.zeros(images.shape[:3], kind)
        for piece in self.pieces(images):
            labels[:, piece.rows, piece.columns] = piece.scores.argmax(1).cpu().numpy()
            if watch:
                watch(piece)
        return labels

    def scores(self, images: NDArray[np.uint8]) -> Tensor:
        """Return the probability of each label, which is large for large images: `pieces` gives it out in parts.

        Args:
            images: (N, H, W, 3) uint8, RGB.

        Returns:
            (N, L, H, W) in [0, 1], on the device of the network; they sum to 1 over the labels.

        Raises:
            InputError: The images are of another shape or type.
        """
        whole = torch.zeros(len(images), self.classes.num_labels, *images.shape[1:3], device=self._device)
        for piece in self.pieces(images):
            whole[..., piece.rows, piece.columns] = piece.scores
        return whole

    def pieces(self, images: NDArray[np.uint8]) -> Iterator[Piece]:
        """Yield the probabilities of each label part by part.

        Args:
            images: (N, H, W, 3) uint8, RGB.

        Yields:
            Parts that cover the images once, with probabilities (N, L, h, w) on the device of the network.

        Raises:
            InputError: The images are of another shape or type.
        """
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8 or 0 in images.shape:
            raise InputError(
                f"got an image of shape {images.shape[1:]} and type {images.dtype}, expected (H, W, 3) uint8 (RGB)."
            )
        settings = self.recipe.segmentation
        side = settings.inference_size
        longest = self.recipe.data.longest_side
        if side is not None:
            score = self._seen_as_square(images, side)
        elif longest is not None and max(images.shape[1:3]) > longest:
            score = self._seen_reduced(images, longest)
        else:
            score = self._seen_at_own_size(images)

        @torch.inference_mode()
        def refined(rows: slice, columns: slice) -> Tensor:
            scores = score(rows, columns)
            return self._refine(images[:, rows, columns], scores) if settings.use_crf else scores

        row_spans, column_spans = (
            tile_spans(length, tile=settings.tile_size, overlap=settings.tile_overlap) for length in images.shape[1:3]
        )
        return blended_tiles(row_spans, column_spans, refined)

    def _seen_at_own_size(self, images: NDArray[np.uint8]) -> Score:
        """Return what scores a part of the images from nothing but its pixels."""

        def score(rows: slice, columns: slice) -> Tensor:
            part = images[:, rows, columns]
            size = (part.shape[1], part.shape[2])
            return probabilities_of(self._grids(part), size, slice(0, size[0]), slice(0, size[1]))

        return score

    def _seen_reduced(self, images: NDArray[np.uint8], longest_side: int) -> Score:
        """Return what scores a part of the images from the views of the whole, reduced as in training."""
        return self._seen_whole(np.stack([reduced_image(image, longest_side) for image in images]), images)

    def _seen_as_square(self, images: NDArray[np.uint8], side: int) -> Score:
        """Return what scores a part of the images from the views of the whole, resized to squares."""
        usable = np.require(images, requirements=("C", "W"))  # what torch can look at; a copy of mirrored arrays only
        pixels = torch.from_numpy(usable).permute(0, 3, 1, 2)  # (N, H, W, 3) -> (N, 3, H, W)
        squares = F.interpolate(pixels, (side, side), mode="bilinear", antialias=True)  # as crops are in training
        return self._seen_whole(squares.permute(0, 2, 3, 1).numpy(), images)  # (N, 3, S, S) -> (N, S, S, 3)

    @torch.inference_mode()
    def _seen_whole(self, resized: NDArray[np.uint8], images: NDArray[np.uint8]) -> Score:
        """Return what scores a part of the images from the views of the whole at another size."""
        grids = self._grids(resized)
        size = (images.shape[1], images.shape[2])
        return lambda rows, columns: probabilities_of(grids, size, rows, columns)

    def _grids(self, images: NDArray[np.uint8]) -> list[Tensor]:
        """Return what the network says of the views of images (N, H, W, 3)."""
        data, settings = self.recipe.data, self.recipe.segmentation
        normalized = torch.from_numpy(normalize(images, data.mean, data.std))
        upright = normalized.permute(0, 3, 1, 2).contiguous().to(self._device)  # (N, H, W, 3) -> (N, 3, H, W)
        return view_grids(
            self.network, upright, scales=settings.scales, mirror=settings.mirror, merge=settings.view_merge
        )

    def _refine(self, images: NDArray[np.uint8], scores: Tensor) -> Tensor:
        """Refine probabilities (N, L, h, w) by a dense CRF that sees images (N, h, w, 3)."""
        settings = self.recipe.segmentation
        refined = []
        for image, of_image in zip(images, scores, strict=True):
            seen = wrapped_image(image) if settings.crf_image == "wrapped" else np.ascontiguousarray(image)
            refined.append(refine_by_crf(seen, of_image, settings.crf))
        return torch.stack(refined)

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device


def build_network(settings: SegmentationSettings, *, num_labels: int, weights: str | None) -> DeepLab | DeepLabPair:
    """Build the network that a recipe describes: one, or two that learn from each other.

    Args:
        settings: Trunk, head and method.
        num_labels: L, background included.
        weights: Weights of the trunk, as `build_deeplab` takes them.

    Raises:
        InputError: Unknown trunk, or one that cannot have this stride.
        WeightsError: The weights are missing, damaged or belong to another network.
    """
    build = partial(
        build_deeplab,
        settings.trunk,
        num_labels,
        weights,
        output_stride=settings.output_stride,
        dilations=settings.aspp_dilations,
        vgg_classifier=settings.vgg_classifier,
        vgg_dropout=settings.vgg_dropout,
    )
    return build_deeplab_pair(build) if settings.method == "co_training" else build()
