from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision
from torch import Tensor, nn

from ktse.config import RuntimeSettings
from ktse.engine.fabric import make_fabric
from ktse.engine.step import LOSS_SCALE, SealedTask, accumulate_gradients, agreed, loss_scaler, update_network
from ktse.types import LossTerms

RATE = 0.5


@dataclass(frozen=True)
class Numbers:
    inputs: Tensor
    weights: Tensor | None = None


class Slope(nn.Module):
    """mean(w · x): its gradient is the mean of the inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(2, 1, bias=False)
        nn.init.constant_(self.line.weight, 1.0)
        self.seen: list[tuple[torch.dtype, torch.dtype, float]] = []

    def forward(self, batch: Numbers, epoch: float) -> LossTerms:
        values = self.line(batch.inputs)
        self.seen.append((batch.inputs.dtype, values.dtype, epoch))
        mean = values.float().mean()
        terms = {"mean": mean} if batch.weights is None else {"mean": mean, "weight": batch.weights.mean()}
        return LossTerms(terms, mean, monitors={"largest": values.max(), "number": torch.tensor(len(batch.inputs))})


def set_up(fabric: Fabric) -> tuple[Slope, Any, Any]:
    task = Slope()
    module, optimizer = fabric.setup(SealedTask(task), torch.optim.SGD(task.parameters(), lr=RATE))
    return task, module, optimizer


def in_float16(scale: float) -> Fabric:
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    fabric = Fabric(accelerator="cpu", devices=1, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    fabric.launch()
    return fabric


CPU = make_fabric(RuntimeSettings(accelerator="cpu"))
PARTS = [Numbers(torch.tensor([[1.0, 2.0], [3.0, 4.0]])), Numbers(torch.tensor([[5.0, 0.0]]), torch.tensor([8.0]))]


def test_readings_are_means_over_the_parts() -> None:
    """Means of the parts are (3 + 7) / 2 = 5 and 5; their largest values 7 and 5; one part alone has weights."""
    task, module, optimizer = set_up(CPU)
    readings = accumulate_gradients(module, PARTS, 1.5, fabric=CPU)
    assert readings.losses == {"mean": 5.0, "total": 5.0, "weight": 4.0}
    assert readings.monitors == {"largest": 6.0, "number": 1.5}
    assert [epoch for _, _, epoch in task.seen] == [1.5, 1.5]
    # gradients of the parts: (2, 3) and (5, 0)
    torch.testing.assert_close(task.line.weight.grad, torch.tensor([[3.5, 1.5]]))
    update_network(module, optimizer, gradient_clip=None, fabric=CPU)
    torch.testing.assert_close(task.line.weight.detach(), torch.tensor([[1 - 1.75, 1 - 0.75]]))
    assert task.line.weight.grad is None, "the next step begins with none"


def test_what_is_not_finite_is_read_and_not_judged() -> None:
    _, module, _ = set_up(CPU)
    readings = accumulate_gradients(module, [Numbers(torch.full((1, 2), torch.inf))], 0.0, fabric=CPU)
    assert readings.losses["mean"] == float("inf")


def test_clipping_shortens_the_gradient_and_keeps_its_direction() -> None:
    task, module, optimizer = set_up(CPU)
    accumulate_gradients(module, [Numbers(torch.tensor([[3.0, 4.0]]))], 0.0, fabric=CPU)
    update_network(module, optimizer, gradient_clip=1.0, fabric=CPU)
    torch.testing.assert_close(task.line.weight.detach(), torch.tensor([[1 - RATE * 0.6, 1 - RATE * 0.8]]))


def test_mixed_precision_computes_in_half_precision_and_leaves_the_batch_alone() -> None:
    fabric = make_fabric(RuntimeSettings(accelerator="cpu", precision="bf16-mixed"))
    task, module, _ = set_up(fabric)
    readings = accumulate_gradients(module, [Numbers(torch.tensor([[1.0, 1 / 512]]))], 0.0, fabric=fabric)
    assert [seen[:2] for seen in task.seen] == [(torch.float32, torch.bfloat16)]
    assert task.line.weight.grad is not None
    assert task.line.weight.grad.dtype == torch.float32
    assert loss_scaler(fabric) is None
    assert LOSS_SCALE not in readings.monitors


@pytest.mark.parametrize(("clip", "step"), [(None, (2.0, 3.0)), (1.0, (0.5547, 0.8321))], ids=["whole", "clipped"])
def test_a_gradient_that_overflows_leaves_the_step_out(clip: float | None, step: tuple[float, float]) -> None:
    """The largest float16 is 65504: 3 times the scale 32768 overflows, 3 times half of it does not."""
    fabric = in_float16(32768.0)
    task, module, optimizer = set_up(fabric)
    weights, scales = [], []
    for _ in range(2):
        readings = accumulate_gradients(module, [Numbers(torch.tensor([[2.0, 3.0]]))], 0.0, fabric=fabric)
        assert readings.losses == {"mean": 5.0, "total": 5.0}, "a finite loss, not scaled"
        update_network(module, optimizer, gradient_clip=clip, fabric=fabric)
        scales.append(readings.monitors[LOSS_SCALE])
        weights.append(task.line.weight.detach().clone())
    assert scales == [32768.0, 16384.0]
    assert torch.equal(weights[0], torch.ones(1, 2))
    torch.testing.assert_close(weights[1], torch.tensor([[1 - RATE * step[0], 1 - RATE * step[1]]]), rtol=0, atol=1e-3)


def test_one_process_agrees_with_itself() -> None:
    assert agreed(True, False, fabric=CPU) == [True, False]
