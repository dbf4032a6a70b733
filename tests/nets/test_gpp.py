from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ktse.nets.gpp import GatedPyramidPooling, quadratic_logits
from reference.gpp_oracle import gated_pyramid_pooling


def pooling_of(num_classes: int, seed: int = 0) -> GatedPyramidPooling:
    """A layer in float64 whose gates are far from 1/2."""
    pooling = GatedPyramidPooling(num_classes).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in pooling.parameters():
        parameter.data.normal_(generator=generator)
    return pooling


def cam_of(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_state_is_exactly_the_six_tensors_of_the_checkpoint() -> None:
    state = GatedPyramidPooling(5).state_dict()
    names = {f"gconv{number}.att_{sign}.0.weight" for number in (1, 2, 3) for sign in "pn"}
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == dict.fromkeys(names, (2, 10, 3, 3))


@pytest.mark.parametrize(
    ("num_classes", "height", "width"),
    [(3, 20, 22), (1, 16, 16), (2, 5, 7), (2, 1, 3)],
    ids=["overlapping windows", "one class", "smaller than the pyramid", "one row"],
)
def test_against_loops(num_classes: int, height: int, width: int) -> None:
    pooling, cam = pooling_of(num_classes), cam_of(2, num_classes, height, width)
    logits, gated = pooling(cam)
    kernels = {name: tensor.numpy() for name, tensor in pooling.state_dict().items()}
    for sample in range(2):
        expected_logits, expected_gated = gated_pyramid_pooling(cam[sample].numpy(), kernels)
        np.testing.assert_allclose(logits[sample].detach().numpy(), expected_logits, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(gated[sample].detach().numpy(), expected_gated, rtol=1e-9, atol=1e-12)


def test_gradient() -> None:
    pooling, cam = pooling_of(2), cam_of(1, 2, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: pooling(x), (cam,))


def test_classes_may_come_in_any_order() -> None:
    pooling, cam, order = pooling_of(3), cam_of(2, 3, 9, 6), torch.tensor([2, 0, 1])
    permuted = pooling_of(3)
    both_maps = torch.cat([order, order + 3])
    permuted.load_state_dict({name: tensor[:, both_maps] for name, tensor in pooling.state_dict().items()})
    (logits, gated), (logits_permuted, gated_permuted) = pooling(cam), permuted(cam[:, order])
    torch.testing.assert_close(logits_permuted, logits[:, order])
    torch.testing.assert_close(gated_permuted, gated[:, order])


def test_negative_evidence_is_the_mirror_of_positive() -> None:
    pooling, cam = pooling_of(2), cam_of(1, 2, 6, 6)
    mirrored = pooling_of(2)
    swap = {"att_p": "att_n", "att_n": "att_p"}
    state = pooling.state_dict()
    swapped = {name: state[f"{name[:7]}{swap[name[7:12]]}{name[12:]}"] for name in state}
    mirrored.load_state_dict(swapped)
    torch.testing.assert_close(mirrored(-cam)[0], -pooling(cam)[0])


def test_logits_are_quadratic_where_the_gates_are_constant() -> None:
    pooling, cam = pooling_of(2), cam_of(1, 2, 6, 6)
    for parameter in pooling.parameters():
        parameter.data.zero_()  # each gate weighs every map 1/2
    torch.testing.assert_close(pooling(3 * cam)[0], 9 * pooling(cam)[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_products_do_not_overflow_in_half_precision(dtype: torch.dtype) -> None:
    large = torch.full((1, 1, 2, 2), 300.0)  # 300² is beyond float16
    logits = quadratic_logits(large.to(dtype), large.to(dtype))
    torch.testing.assert_close(logits, torch.tensor([[90_000.0]]), rtol=1e-2, atol=0)


def test_autocast_does_not_reach_it() -> None:
    pooling, cam = pooling_of(3).float(), cam_of(2, 3, 8, 8).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, gated = pooling(cam)
    expected_logits, expected_gated = pooling(cam)
    torch.testing.assert_close(logits, expected_logits, rtol=0, atol=0)
    torch.testing.assert_close(gated, expected_gated, rtol=0, atol=0)
