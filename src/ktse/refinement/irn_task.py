"""What IRNet learns: edges between near cells of different labels, displacements to a common centre."""

from __future__ import annotations

from torch import nn

from ktse.losses.affinity import affinity_loss, displacement_loss, pair_labels
from ktse.nets.irnet import IRNet
from ktse.ops.paths import path_affinity
from ktse.refinement.irn_batches import IrnBatch
from ktse.types import IGNORE_INDEX, LossTerms


class IrnTask(nn.Module):
    """IRNet together with its losses: what the training loop calls.

    Args:
        irnet: The network.
        radius: Pairs of cells nearer than this are learned from.
        ignore_index: Label of cells that nothing is known of.
    """

    def __init__(self, irnet: IRNet, *, radius: int, ignore_index: int = IGNORE_INDEX) -> None:
        super().__init__()
        self.irnet = irnet
        self.radius = radius
        self.ignore_index = ignore_index

    def start_epoch(self, epoch: int) -> None:
        """Begin an epoch; all epochs are alike."""

    def forward(self, batch: IrnBatch, epoch: float) -> LossTerms:
        """Return the losses of a batch and half the sum of all four (REFERENCE 5.5); 0 where no pair counts."""
        edge_logits, displacement = self.irnet(batch.images)
        pairs = pair_labels(batch.labels, radius=self.radius, ignore_index=self.ignore_index)
        # float32: 1 - affinity and its logarithm lose everything near 0 in half precision
        affinity = path_affinity(edge_logits[:, 0].float().sigmoid(), radius=self.radius)
        positive, negative = affinity_loss(affinity, pairs)
        foreground, background = displacement_loss(displacement.float(), pairs, radius=self.radius)
        terms = {
            "positive": positive,
            "negative": negative,
            "foreground_displacement": foreground,
            "background_displacement": background,
        }
        return LossTerms(terms, (positive + negative + foreground + background) / 2)
