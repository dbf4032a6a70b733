"""Co-training on one page: two networks learn from pseudo masks and from each other (BECO; REFERENCE 6.3).

| pixels | what is learned there | loss |
|---|---|---|
| trusted | the label of the pseudo mask; after the warm-up, in mixed crops, that of both networks together | L_ce |
| not trusted | what the other network says | L_cot |
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ktse.config import CoTrainingSettings, DataSettings
from ktse.losses.cotraining import cross_label_loss, trusted_label_loss
from ktse.nets.deeplab_pair import DeepLabPair
from ktse.segmentation.batches import CoTrainingBatch
from ktse.segmentation.mixing import Labelling, MixedCrops, mix_by_offline_labels, mix_by_online_labels
from ktse.segmentation.photometric import apply_changes
from ktse.segmentation.task import monitors
from ktse.types import IGNORE_INDEX, LossTerms, SegmenterOutput

_DATA = DataSettings()


class CoTrainingTask(nn.Module):
    """Two segmenters together with their losses: what the training loop calls.

    Args:
        pair: The two networks.
        settings: `recipe.segmentation.co_training`.
        mean: Mean that the images are freed from before a network sees them.
        std: Deviation that they are divided by.
        ignore_index: Label of pixels that do not count.
    """

    def __init__(
        self,
        pair: DeepLabPair,
        settings: CoTrainingSettings,
        *,
        mean: tuple[float, float, float] = _DATA.mean,
        std: tuple[float, float, float] = _DATA.std,
        ignore_index: int = IGNORE_INDEX,
    ) -> None:
        super().__init__()
        self.pair = pair
        self.settings = settings
        self.mean = mean
        self.std = std
        self.ignore_index = ignore_index

    def start_epoch(self, epoch: int) -> None:
        """Begin an epoch; what is mixed follows from the epoch that `forward` is told."""

    def forward(self, batch: CoTrainingBatch, epoch: float) -> LossTerms:
        """Mix the crops of each pair, show them to both networks, and let these learn.

        Args:
            batch: Pairs of crops.
            epoch: How far the training is, in epochs.

        Returns:
            For network i `trusted_i` (L_ce) and `cross_i` (L_cot), and their weighted sum.
        """
        # Objects of each crop are pasted into its partner: at first by the labels that were made before the training,
        # after the warm-up by those that both networks together are sure of. The crops have their true colours.
        mixed = self._mix(batch, batch.images / 255, epoch)

        # Both networks see the same crops, in other colours and less sharp.
        images = apply_changes(
            mixed.images.flatten(0, 1), batch.changes.flatten(0, 1), blur_sizes=self.settings.blur_sizes
        )
        images = self._normalized(images)
        output_1 = _logits(self.pair.network1(images))
        output_2 = _logits(self.pair.network2(images))

        # They learn the labels where these are trusted, and from each other where they are not.
        return co_training_losses(output_1, output_2, mixed, self.settings, ignore_index=self.ignore_index)

    def _mix(self, batch: CoTrainingBatch, images: Tensor, epoch: float) -> MixedCrops:
        offline = Labelling(batch.labels, batch.trusted)
        if epoch < self.settings.warm_up_epochs:
            return mix_by_offline_labels(images, offline, batch.is_mixed, batch.order, ignore_index=self.ignore_index)
        return mix_by_online_labels(
            images,
            offline,
            self._online_labels(images),
            batch.is_mixed,
            batch.order,
            boundary_size=self.settings.boundary_size,
            ignore_index=self.ignore_index,
        )

    @torch.no_grad()
    def _online_labels(self, images: Tensor) -> Labelling:
        """Label crops (Q, 2, 3, H, W) by the mean of both networks in evaluation mode; what is probable is trusted."""
        was_training = self.pair.training
        self.pair.eval()
        probability, labels = _logits(self.pair(self._normalized(images.flatten(0, 1)))).softmax(1).max(1)
        self.pair.train(was_training)
        # Under mixed precision, copies of the weights that were made here know no gradient; training needs new ones.
        torch.clear_autocast_cache()
        shape = (*images.shape[:2], *images.shape[3:])  # (Q, 2, H, W)
        return Labelling(labels.reshape(shape), (probability > self.settings.online_threshold).reshape(shape))

    def _normalized(self, images: Tensor) -> Tensor:
        """Normalise images (B, 3, H, W) in [0, 1]."""
        mean, std = (images.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (images - mean) / std


def co_training_losses(
    output_1: Tensor,
    output_2: Tensor,
    mixed: MixedCrops,
    settings: CoTrainingSettings,
    *,
    ignore_index: int = IGNORE_INDEX,
) -> LossTerms:
    """Compute every loss from what the two networks say of the mixed crops.

    Pure: no network, no state.

    Args:
        output_1: (B, L, H, W) logits of the first network for all crops, those of a pair beside each other.
        output_2: The same of the second.
        mixed: The crops as B / 2 pairs, with their labels.
        settings: Weights.
        ignore_index: Label of pixels that do not count.

    Returns:
        `trusted_1`, `trusted_2`, `cross_1`, `cross_2`, and their weighted sum.

    Example:
        >>> shape = (1, 2, 8, 8)
        >>> mixed = MixedCrops(torch.zeros(1, 2, 3, 8, 8), torch.zeros(shape, dtype=torch.int64),
        ...                    torch.ones(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool))
        >>> losses = co_training_losses(torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8), mixed, CoTrainingSettings())
        >>> {name: round(term.item(), 4) for name, term in losses.terms.items()}
        {'trusted_1': 1.0986, 'trusted_2': 1.0986, 'cross_1': 0.0, 'cross_2': 0.0}
    """
    labels, trusted, boundary = (values.flatten(0, 1) for values in (mixed.labels, mixed.trusted, mixed.boundary))
    terms: dict[str, Tensor] = {}
    for name, output in (("trusted_1", output_1), ("trusted_2", output_2)):
        terms[name] = trusted_label_loss(
            output, labels, trusted, boundary, boundary_weight=settings.boundary_weight, ignore_index=ignore_index
        )
    labels_1, labels_2 = output_1.argmax(1), output_2.argmax(1)
    for name, output, others_labels in (("cross_1", output_1, labels_2), ("cross_2", output_2, labels_1)):
        terms[name] = cross_label_loss(
            output, others_labels, trusted, boundary, boundary_weight=settings.cross_boundary_weight
        )
    total = terms["trusted_1"] + terms["trusted_2"] + settings.cross_weight * (terms["cross_1"] + terms["cross_2"])
    watched = monitors(torch.stack([labels_1, labels_2]), labels != ignore_index)
    return LossTerms(terms, total, monitors=watched)


def _logits(output: SegmenterOutput) -> Tensor:
    """Return the logits (B, L, H, W) in float32, also under mixed precision."""
    return output.logits.float()
