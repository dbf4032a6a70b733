from __future__ import annotations

import pickle
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch.distributed as dist

from ktse.engine import together
from ktse.engine.together import decided, gathered
from ktse.errors import DataError, KtseError, MissingExtraError

FIRST: Any = SimpleNamespace(global_rank=0, world_size=1)
SECOND: Any = SimpleNamespace(global_rank=1, world_size=2)


@pytest.fixture
def joined() -> Iterator[None]:
    """A group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("joined")
def test_the_first_process_decides_for_all() -> None:
    assert gathered({"a": 1}, FIRST) == [{"a": 1}]
    assert decided(lambda: [1, 2], FIRST) == [1, 2]
    assert decided(lambda: None, FIRST) is None


@pytest.mark.usefixtures("joined")
def test_others_do_not_look_but_do_what_the_first_says(monkeypatch: pytest.MonkeyPatch) -> None:
    brought = []
    monkeypatch.setattr(together, "gathered", lambda own, fabric: brought.append(own) or ["of the first", own])
    assert decided(lambda: pytest.fail("looked"), SECOND) == "of the first"
    assert brought == [None]


@pytest.mark.usefixtures("joined")
def test_what_the_first_refuses_is_refused_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise DataError("no.", remedy="Yes.")

    with pytest.raises(DataError, match=r"no\. Yes\."):
        decided(refuse, FIRST)
    monkeypatch.setattr(together, "gathered", lambda own, fabric: [DataError("of the first"), own])
    with pytest.raises(DataError, match="of the first"):
        decided(lambda: None, SECOND)


def test_without_others_each_decides_for_itself() -> None:
    assert decided(lambda: 3, None) == decided(lambda: 3, SECOND) == 3
    assert gathered(3, SECOND) == [3]


@pytest.mark.parametrize("error", [DataError("no.", remedy="Yes."), MissingExtraError("x", extra="crf")], ids=repr)
def test_errors_arrive_as_they_were_sent(error: KtseError) -> None:
    there = pickle.loads(pickle.dumps(error))
    assert (type(there), str(there), there.remedy) == (type(error), str(error), error.remedy)
