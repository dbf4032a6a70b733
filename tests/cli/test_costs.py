from __future__ import annotations

import io

import pytest
from rich.console import Console

from ktse.cli.costs import cost_remarks, cost_table
from ktse.engine.cost import StageCost
from ktse.run_cost import RunCost

GIB = 2**30
STAGES = (
    StageCost("localizer: all losses", 10_582, "steps", 86_400.0 * 2, 3 * GIB, is_measured=False),
    StageCost("predictions", 1449, "images", 90.0, 2 * GIB),
)
UNTOLD = StageCost("refinement", 0, "", None, None, trouble="there is no trunk '[bold]'.")


def cost(*stages: StageCost, memory: int | None = 8 * GIB, device: str = "cpu", threads: int = 2) -> RunCost:
    return RunCost(stages, device, threads, memory)


def lines_of(cost: RunCost, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(cost_table(cost, "folder/[cpu]"))
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_table_has_a_line_for_each_stage_and_the_sum() -> None:
    assert lines_of(cost(*STAGES, UNTOLD)) == [
        "ktse run folder/[cpu] on this machine (cpu, 2 cores)",
        "stage time memory",
        "localizer: all losses 10582 steps ~ 2.0 days 3.0 GiB",
        "predictions 1449 images 1.5 min 2.0 GiB",
        "refinement ? ?",
        "sum ~ 2.0 days 3.0 GiB",
    ]


@pytest.mark.parametrize(
    ("device", "threads", "place"), [("cpu", 1, "(cpu, 1 core)"), ("cuda", 8, "(cuda)")], ids=["one core", "gpu"]
)
def test_title_names_the_device(device: str, threads: int, place: str) -> None:
    assert lines_of(cost(*STAGES, device=device, threads=threads))[0].endswith(place)


@pytest.mark.parametrize(
    ("told", "remark"),
    [
        (cost(*STAGES), "The memory suffices: 3.0 of 8.0 GiB."),
        (cost(*STAGES, memory=2 * GIB), "does not suffice: 3.0 GiB, there are 2.0 GiB. Raise micro_batches"),
        (cost(*STAGES, memory=None), "The memory cannot be told on this system."),
        (cost(UNTOLD), "refinement cannot be told: there is no trunk '[bold]'."),
        (cost(*STAGES), "~ is extrapolated"),
    ],
    ids=["suffices", "too little", "unknown", "trouble", "extrapolated"],
)
def test_remarks(told: RunCost, remark: str) -> None:
    assert remark in "\n".join(cost_remarks(told))


def test_nothing_is_said_of_what_is_not_in_the_table() -> None:
    assert len(cost_remarks(cost(STAGES[1]))) == 2
