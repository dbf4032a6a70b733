from __future__ import annotations

import torch

from ktse.engine.seeding import keyed_seed, private_torch_seed


def test_places_have_seeds_of_their_own() -> None:
    seeds = {keyed_seed(7, epoch, step, rank) for epoch in range(5) for step in range(20) for rank in range(3)}
    assert len(seeds) == 5 * 20 * 3
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_global_generator_is_given_back() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with private_torch_seed():
        torch.manual_seed(99)
        torch.rand(5)
    assert torch.equal(torch.rand(2), expected)
