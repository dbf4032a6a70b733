from __future__ import annotations

import os

import pytest
import torch

from ktse.data.read_ahead import read_ahead
from ktse.errors import DataError


def read(step: int) -> tuple[int, int]:
    if step == 7:
        raise DataError("image 'seven' is empty.", remedy="Copy it.")
    return step, os.getpid()


@pytest.mark.parametrize("workers", [0, 2], ids=["here", "in workers"])
def test_steps_come_in_order_and_from_where_they_should(workers: int) -> None:
    state = torch.get_rng_state()
    items = list(read_ahead(read, range(2, 6), workers=workers))
    assert [step for step, _ in items] == [2, 3, 4, 5]
    processes = {process for _, process in items}
    assert processes == {os.getpid()} if workers == 0 else os.getpid() not in processes
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("workers", [0, 1], ids=["here", "in a worker"])
def test_faults_of_the_data_keep_their_text(workers: int) -> None:
    steps = read_ahead(read, range(6, 9), workers=workers)
    assert next(steps)[0] == 6
    with pytest.raises(DataError) as caught:
        next(steps)
    assert str(caught.value) == "image 'seven' is empty. Copy it."
    assert caught.value.remedy == "Copy it."
