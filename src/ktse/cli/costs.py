"""What a run takes on this machine, as a table with what has to be said about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Group

    from ktse.engine.cost import StageCost
    from ktse.run_cost import RunCost

UNKNOWN = "?"

_GIB = 2**30


def cost_table(cost: RunCost, recipe: str) -> Group:
    """Return what each stage takes, and the sum.

    Args:
        cost: What to show.
        recipe: Name of the recipe.
    """
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table

    cores = f", {cost.threads} core{'s' if cost.threads > 1 else ''}" if cost.device == "cpu" else ""
    title = f"ktse run {escape(recipe)} on this machine ({cost.device}{cores})"
    table = Table(box=None, show_footer=True, header_style="none")
    total = cost.total
    table.add_column("stage", footer="sum")
    table.add_column("", justify="right")
    table.add_column("time", justify="right", footer=_time(total))
    table.add_column("memory", justify="right", footer=_memory(total.memory))
    for stage in cost.stages:
        count = f"{stage.count} {stage.unit}" if stage.unit else ""
        table.add_row(escape(stage.stage), count, _time(stage), _memory(stage.memory))
    return Group(title, table)


def cost_remarks(cost: RunCost) -> list[str]:
    """Return what has to be said about the table: what could not be told, and whether the memory suffices.

    Example:
        >>> from ktse.engine.cost import StageCost
        >>> from ktse.run_cost import RunCost
        >>> stage = StageCost("segmenter", 10, "steps", seconds=9.0, memory=3 * 2**30)
        >>> for remark in cost_remarks(RunCost((stage,), "cpu", 2, memory_of_machine=8 * 2**30)):
        ...     print(remark)
        The memory suffices: 3.0 of 8.0 GiB.
        Not counted: loading of weights, scores, report; other programs slow it down.
    """
    remarks = [f"{stage.stage} cannot be told: {stage.trouble}" for stage in cost.stages if stage.trouble]
    if any(not stage.is_measured for stage in cost.stages):
        remarks.append("~ is extrapolated from one image, or from one of its views.")
    needed, there = cost.total.memory, cost.memory_of_machine
    if needed is None or there is None:
        remarks.append("The memory cannot be told on this system.")
    elif needed <= there:
        remarks.append(f"The memory suffices: {_memory(needed, unit='')} of {_memory(there)}.")
    else:
        remarks.append(
            f"The memory does not suffice: {_memory(needed)}, there are {_memory(there)}. Raise micro_batches, or "
            "lower crop_size, par_batch or inference_batch of what needs most."
        )
    remarks.append("Not counted: loading of weights, scores, report; other programs slow it down.")
    return remarks


def duration(seconds: float) -> str:
    """Return a time in the unit in which it reads best.

    Example:
        >>> [duration(seconds) for seconds in (0.2, 42, 90, 7200, 259_200)]
        ['0.2 s', '42 s', '1.5 min', '2.0 h', '3.0 days']
    """
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"


def _time(stage: StageCost) -> str:
    if stage.seconds is None:
        return UNKNOWN
    return ("" if stage.is_measured else "~ ") + duration(stage.seconds)


def _memory(amount: int | None, *, unit: str = " GiB") -> str:
    return UNKNOWN if amount is None else f"{amount / _GIB:.1f}{unit}"
