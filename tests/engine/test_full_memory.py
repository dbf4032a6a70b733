from __future__ import annotations

import pytest
import torch

from ktse.engine.full_memory import enough_memory, full_memory
from ktse.errors import InputError
from ktse.overrides import setting_names


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
    ids=["python", "cpu", "cpu, Windows", "gpu", "library"],
)
def test_a_full_memory_is_a_sentence(error: Exception) -> None:
    with (
        pytest.raises(InputError, match=r"more memory than there is.*runtime\.inference_batch") as caught,
        enough_memory(),
    ):
        raise error
    assert caught.value.__cause__ is error


def test_an_allocation_that_no_machine_can_give_is_seen() -> None:
    with pytest.raises(InputError, match="more memory"), enough_memory():
        torch.empty(2**60, dtype=torch.uint8)


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA error: an illegal memory access was encountered"), ValueError("odd")], ids=str
)
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    assert full_memory(error) is None
    with pytest.raises(type(error)) as caught, enough_memory():
        raise error
    assert caught.value is error


def test_the_settings_that_it_names_are_there() -> None:
    names = set(setting_names())
    assert {"runtime.inference_batch", "refinement.par_batch"} <= names
    for section in ("localization", "refinement.irn", "segmentation"):
        assert {f"{section}.micro_batches", f"{section}.crop_size"} <= names
