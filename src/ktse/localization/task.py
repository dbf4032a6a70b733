"""The method on one page: the branches of the paper's Figure 2, and the losses between them.

| branch | what is seen | losses | module of the paper |
|---|---|---|---|
| anchor, F_a | the image | L_cls | |
| joint, F_s | the image with its pair | L_kt | simulated inter-image erasing (SIE) |
| - | the image, labelled by its own CAM and PAR | L_ce, L_inter | self-supervised regularization (SSR) |
| erased, F_m | the image without its most striking part | L_global, L_local | multi-granularity alignment (MGA) |
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from ktse.config import DataSettings, LocalizationSettings
from ktse.config.localization import LossWeights
from ktse.errors import InputError
from ktse.localization.branches import Branches, needed_branches
from ktse.localization.erasing import erase, join_pairs, paste_pairs
from ktse.localization.pseudo_labels import pseudo_labels
from ktse.localization.terms import Arrange, alignment_terms, cross_entropy_terms, inter_class_terms, transfer_terms
from ktse.losses.classification import classification_loss
from ktse.types import LocalizerOutput, LossTerms, PairBatch

_DATA = DataSettings()


def ktse_losses(
    anchor: LocalizerOutput,
    pair: LocalizerOutput | None,
    erased: LocalizerOutput | None,
    joint: LocalizerOutput | None,
    *,
    images: Tensor,
    paired_images: Tensor,
    tags: Tensor,
    paired_tags: Tensor,
    settings: LocalizationSettings,
    ramp: float = 1.0,
    mean: tuple[float, float, float] = _DATA.mean,
    std: tuple[float, float, float] = _DATA.std,
    arrange: Arrange = join_pairs,
) -> LossTerms:
    """Compute every loss that weighs something from what the branches say: Eq. (10).

    Pure: no network, no state. The P pairs belong to the first P of the B anchors.

    Args:
        anchor: F_a, of B images.
        pair: Of the P pairs; None when no loss needs it.
        erased: F_m, of the B erased images; None when no loss needs it.
        joint: F_s, of the P joint images; None when no loss needs it.
        images: (B, 3, H, W) normalised anchors.
        paired_images: (P, 3, H, W) normalised pairs.
        tags: (B, K) in {0, 1}.
        paired_tags: (P, K) in {0, 1}.
        settings: `recipe.localization`: weights, thresholds, and everything in which paper and published code differ.
        ramp: Factor on the weight of every loss but L_cls.
        mean: Mean that was subtracted from the images.
        std: Deviation that they were divided by.
        arrange: Lays out images, CAMs and labels of anchors and pairs as they are in the joint image.

    Returns:
        The losses by name, their weighted sum, and the pseudo labels of the anchors.

    Raises:
        InputError: A branch is missing that a loss needs.

    Example:
        >>> output = LocalizerOutput(cam_with_background=torch.rand(2, 4, 6, 6), logits=torch.zeros(2, 3))
        >>> joint = LocalizerOutput(cam_with_background=torch.rand(2, 4, 12, 6), logits=torch.zeros(2, 3))
        >>> images, tags = torch.zeros(2, 3, 24, 24), torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
        >>> losses = ktse_losses(output, output, output, joint, images=images, paired_images=images, tags=tags,
        ...                      paired_tags=tags, settings=LocalizationSettings())
        >>> losses.terms["classification"]
        tensor(0.6931)
    """
    step = needed_branches(settings, pairs=len(paired_images))
    _check_branches(step, pair=pair, erased=erased, joint=joint)
    terms: dict[str, Tensor] = {}
    labels = paired_labels = None

    if "classification" in step.terms:
        terms["classification"] = classification_loss(anchor.logits, tags)

    if joint is not None and "knowledge_transfer" in step.terms:
        terms |= transfer_terms(anchor, pair, joint, tags, paired_tags, settings, arrange)

    if step.labels:
        labels = pseudo_labels(images, anchor.cam, tags, settings, mean=mean, std=std)
        if pair is not None and step.paired_labels:
            paired_labels = pseudo_labels(paired_images, pair.cam, paired_tags, settings, mean=mean, std=std)
        terms |= cross_entropy_terms(anchor, joint, labels, paired_labels, tags, step, settings, arrange)
    if "inter_class" in step.terms:
        terms |= inter_class_terms(anchor, images, tags, settings)

    if erased is not None:
        terms |= alignment_terms(anchor, erased, tags, step, settings)

    return LossTerms(terms, _weighted_sum(terms, settings.weights, ramp, like=anchor.logits), labels)


class KtseTask(nn.Module):
    """The localizer together with its losses: what the training loop calls.

    Args:
        localizer: Images (B, 3, H, W) to `LocalizerOutput`.
        settings: `recipe.localization`.
        mean: Mean that the images of a batch were freed from.
        std: Deviation that they were divided by.
    """

    def __init__(
        self,
        localizer: nn.Module,
        settings: LocalizationSettings,
        *,
        mean: tuple[float, float, float] = _DATA.mean,
        std: tuple[float, float, float] = _DATA.std,
    ) -> None:
        super().__init__()
        self.localizer = localizer
        self.settings = settings
        self.mean = mean
        self.std = std

    def start_epoch(self, epoch: int) -> None:
        """Freeze or thaw the normalisation layers where the settings make that a matter of the epoch."""
        if self.settings.normalization_layers == "frozen_after_warm_up":
            self.localizer.freeze_normalization(epoch >= self.settings.warm_up_epochs)  # type: ignore[operator]

    def forward(self, batch: PairBatch, epoch: float) -> LossTerms:
        """Show the localizer the branches of the paper's Figure 2, and compare them.

        Args:
            batch: Anchors, and pairs for the first of them.
            epoch: How far the training is, in epochs; a half-done first epoch is 0.5.

        Returns:
            All losses of the step, with the monitor `cam_activation`.
        """
        settings = settings_at(self.settings, epoch)
        step = needed_branches(settings, pairs=len(batch.paired_images))
        arrange = arrangement(batch, settings)

        # The anchor, from which everything is learned: F_a.
        anchor = self._see(batch.images)

        # Multi-granularity alignment: the anchor without its most striking part, F_m, to find the rest of the object.
        erased = self._see(self._erase(batch, anchor)) if step.erased else None

        # Simulated inter-image erasing: the pair draws activation away from the anchor in their joint image, F_s.
        pair = self._see(batch.paired_images) if step.pair else None
        joint = self._see(arrange(anchors_with_pair(batch), batch.paired_images)) if step.joint else None

        # The losses between them; self-supervised regularization labels anchor and pair on the way.
        losses = ktse_losses(
            anchor,
            pair,
            erased,
            joint,
            images=batch.images,
            paired_images=batch.paired_images,
            tags=batch.tags,
            paired_tags=batch.paired_tags,
            settings=settings,
            ramp=ramp_at(settings, epoch),
            mean=self.mean,
            std=self.std,
            arrange=arrange,
        )
        return replace(losses, monitors={"cam_activation": cam_activation(anchor.cam, batch.tags)})

    def _see(self, images: Tensor) -> LocalizerOutput:
        """Run the localizer; under mixed precision its output is taken back to float32, where the losses are made."""
        output: LocalizerOutput = self.localizer(images)
        dtype = torch.promote_types(output.logits.dtype, torch.float32)
        return LocalizerOutput(
            cam_with_background=output.cam_with_background.to(dtype),
            logits=output.logits.to(dtype),
            gated=None if output.gated is None else output.gated.to(dtype),
        )

    def _erase(self, batch: PairBatch, anchor: LocalizerOutput) -> Tensor:
        """Paint over the most striking part of the anchors."""
        return erase(
            batch.images,
            anchor.cam,
            batch.tags,
            threshold=self.settings.erase_threshold,
            normalization=self.settings.erase_normalization,
        )


def settings_at(settings: LocalizationSettings, epoch: float) -> LocalizationSettings:
    """Return the settings of a phase: during warm-up every loss but L_cls weighs 0 (REFERENCE 3.4 #1).

    Example:
        >>> settings_at(LocalizationSettings(warm_up_epochs=2), 1.9).weights.knowledge_transfer
        0.0
    """
    if epoch >= settings.warm_up_epochs:
        return settings
    off = dict.fromkeys(LossWeights.model_fields, 0.0)
    weights = LossWeights(**{**off, "classification": settings.weights.classification})
    return settings.model_copy(update={"weights": weights})


def ramp_at(settings: LocalizationSettings, epoch: float) -> float:
    """Return the factor on every loss but L_cls: from 0 at the end of warm-up to 1, linearly over `loss_ramp`.

    Example:
        >>> ramp_at(LocalizationSettings(warm_up_epochs=10, epochs=30, loss_ramp=0.5), 12.5)
        0.25
    """
    span = settings.loss_ramp * (settings.epochs - settings.warm_up_epochs)
    return min(max((epoch - settings.warm_up_epochs) / span, 0.0), 1.0) if span > 0 else 1.0


def arrangement(batch: PairBatch, settings: LocalizationSettings) -> Arrange:
    """Return how anchor and pair become a joint image: one above the other, or the batch's region pasted in.

    Raises:
        InputError: The settings ask for pasting and the batch does not say where.
    """
    if settings.join == "stack" or not len(batch.paired_images):
        return join_pairs
    if batch.paste_region is None:
        raise InputError('join = "cutmix" needs a batch with `paste_region`.', remedy="Draw one for each pair.")
    return partial(paste_pairs, region=batch.paste_region)


@torch.no_grad()
def cam_activation(cam: Tensor, tags: Tensor) -> Tensor:
    """Return the mean of the largest activation of each tagged class, negative ones counted as 0; NaN without tags.

    The logits of GPP are quadratic in the CAM: a step too long can drive it to 0, and there no gradient is left.

    Args:
        cam: (B, K, h, w) raw activation.
        tags: (B, K) in {0, 1}.

    Example:
        >>> cam = torch.tensor([[[[0.5, 2.0]], [[9.0, 9.0]]], [[[-1.0, -3.0]], [[9.0, 9.0]]]])
        >>> cam_activation(cam, torch.tensor([[1.0, 0.0], [1.0, 0.0]]))  # (2 + 0) / 2
        tensor(1.)
    """
    return (cam.amax(dim=(2, 3)).relu() * tags).sum() / tags.sum()


def anchors_with_pair(batch: PairBatch) -> Tensor:
    """Return the (P, 3, H, W) anchors that have a pair: the first of the batch."""
    return batch.images[: len(batch.paired_images)]


def _check_branches(step: Branches, **branches: LocalizerOutput | None) -> None:
    """Refuse to leave out silently a loss that is asked for."""
    missing = [name for name, output in branches.items() if getattr(step, name) and output is None]
    if missing:
        raise InputError(
            f"the losses {sorted(step.terms)} need the branch {' and '.join(missing)}, got None.",
            remedy="Give its output, or set the weights of the losses that need it to 0.",
        )


def _weighted_sum(terms: dict[str, Tensor], weights: LossWeights, ramp: float, *, like: Tensor) -> Tensor:
    """Sum the losses by their weights; `ramp` scales all but L_cls."""
    total = like.new_zeros(())
    for name, term in terms.items():
        weight = getattr(weights, name)
        total = total + term * (weight if name == "classification" else weight * ramp)
    return total
