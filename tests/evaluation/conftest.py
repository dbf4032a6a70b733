"""A data set in memory, and processes that are none."""

import numpy as np
import pytest
import torch

from ktse.data.classes import Classes
from ktse.data.dataset import Dataset


class InMemory(Dataset):
    """Images of noise with given masks; a mask may be None."""

    def __init__(self, masks, *, classes=("cat", "dog", "cow"), split="train"):
        self._masks = masks
        tags = np.zeros((len(masks), len(classes)), bool)
        for index, mask in enumerate(masks):
            for label in np.unique(mask) if mask is not None else []:
                if 0 < label <= len(classes):
                    tags[index, label - 1] = True
        super().__init__(
            name="memory",
            split=split,
            classes=Classes(tuple(classes)),
            ids=[f"part/{index:03d}" for index in range(len(masks))],
            tags=tags,
            has_masks=any(mask is not None for mask in masks),
        )

    def image(self, index):
        shape = self._masks[index].shape if self._masks[index] is not None else (8, 9)
        return np.random.default_rng(index).integers(0, 256, (*shape, 3), dtype=np.uint8)

    def mask(self, index):
        return self._masks[index]


class Process:
    """One of several processes that run one after the other: sums are noted, and added in the end."""

    device = torch.device("cpu")

    def __init__(self, rank, world_size, seen):
        self.global_rank, self.world_size, self.seen = rank, world_size, seen

    def all_reduce(self, tensor, reduce_op):
        assert reduce_op == "sum"
        self.seen.append(tensor)
        return torch.stack(self.seen).sum(0)


@pytest.fixture
def make_masks():
    def make(count=4, labels=4, shape=(8, 9), random_seed=0):
        generator = np.random.default_rng(random_seed)
        masks = []
        for _ in range(count):
            mask = generator.integers(0, labels, shape).astype(np.uint8)
            mask[generator.random(shape) < 0.1] = 255
            masks.append(mask)
        return masks

    return make


@pytest.fixture
def in_memory():
    return InMemory


@pytest.fixture
def processes():
    """Make the processes of a run; they share what they have reduced."""

    def make(world_size):
        seen = []
        return [Process(rank, world_size, seen) for rank in range(world_size)]

    return make
