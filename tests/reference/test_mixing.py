"""The boundary of a pasted square: appendix A9 of REFERENCE."""

from __future__ import annotations

import torch

from ktse.segmentation.mixing import Labelling, mix_by_online_labels


def test_a_pasted_square_has_48_pixels_of_boundary_and_16_inside() -> None:
    labels = torch.zeros(1, 2, 20, 20, dtype=torch.int64)
    labels[0, 1, 7:13, 5:11] = 3
    offline = Labelling(torch.zeros_like(labels), torch.zeros_like(labels, dtype=torch.bool))
    online = Labelling(labels, torch.ones_like(offline.trusted))
    images = torch.tensor([0.25, 0.75]).reshape(1, 2, 1, 1, 1).expand(1, 2, 3, 20, 20)
    mixed = mix_by_online_labels(
        images, offline, online, torch.tensor([[True, False]]), torch.arange(4).expand(1, 2, 4), boundary_size=1
    )
    assert (mixed.images[0, 0, 0] == 0.75).sum() == 36
    assert mixed.boundary[0, 0].sum() == 48
    assert ((mixed.labels[0, 0] == 3) & ~mixed.boundary[0, 0]).sum() == 16
    assert not mixed.boundary[0, 1].any()
    assert mixed.labels.dtype == torch.int64
    assert mixed.labels.shape == mixed.trusted.shape == mixed.boundary.shape == (1, 2, 20, 20)
