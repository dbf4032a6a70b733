"""The random walk of 256 steps: squaring the dense transition, as published, against `ktse.ops.random_walk`.

    python benchmarks/bench_random_walk.py [--full] [--rounds N]

Both get the same CAMs (3 classes) and edges and do all from these maps to the walked scores. The dense way squares a
float32 matrix 8 times on all cores; on 94 x 125 cells, the grid of an image of 375 x 500 pixels, this takes minutes and
is done with `--full` only, once. Otherwise its time there is extrapolated by the cube of the cells. Denormal numbers
count as 0 in both ways, for on some CPUs the dense one would spend most of its time on them. Errors are those against
steps in float64 with a sparse matrix, in shares of the largest value. Peak memory is that of a process of its own.
Writes `results/bench_random_walk.json`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median

import torch
from provenance import provenance
from torch import Tensor
from torch.nn import functional as F

from ktse.artifacts import write_json
from ktse.config import IrnSettings
from ktse.ops.paths import destinations
from ktse.ops.random_walk import propagate, symmetric_transition

SMALL_GRIDS = (24, 32), (36, 48)
FULL_GRID = (94, 125)
CLASSES = 3
SETTINGS = IrnSettings()
SQUARINGS = SETTINGS.walk_steps.bit_length() - 1
THREADS = torch.get_num_threads()
TARGETS = {"ratio of CPU seconds": 1000, "ratio of memory": 50, "error": 1e-5}
"""What is asked for on the full grid."""

SMALLEST_MEMORY = 5.0
"""MB below which a peak says nothing: the allocator has as much at hand."""

Walk = Callable[[Tensor, Tensor], Tensor]


def main() -> None:
    """Measure, print and write the result."""
    arguments = parse()
    torch.set_flush_denormal(True)
    rows = [measure(grid, arguments.rounds, dense_rounds=arguments.rounds) for grid in SMALL_GRIDS]
    rows.append(measure(FULL_GRID, arguments.rounds, dense_rounds=1 if arguments.full else 0))
    if not arguments.full:
        extrapolate(rows[-1], rows[-2])
    result = provenance("random walk against squaring the dense transition") | {
        "classes": CLASSES,
        "steps": SETTINGS.walk_steps,
        "unit": "CPU seconds of all threads, [median, smallest, largest]; MB beyond what the process had before",
        "threads of the dense way": THREADS,
        "threads of ours": 1,
        f"asked for on {name_of(FULL_GRID)}": TARGETS,
        "grids": {name_of(grid): row for grid, row in zip((*SMALL_GRIDS, FULL_GRID), rows, strict=True)},
    }
    if torch.cuda.is_available():
        result["CUDA"] = {"device": torch.cuda.get_device_name(), "unit": "seconds of the clock"} | {
            name_of(grid): measure_on_cuda(grid, arguments.rounds) for grid in (*SMALL_GRIDS, FULL_GRID)
        }
    write_json(arguments.out, result)
    print(arguments.out.read_text(encoding="utf-8"))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help=f"square the dense matrix of {name_of(FULL_GRID)} cells")
    parser.add_argument("--rounds", type=int, default=5, help="times that each way is timed")
    parser.add_argument("--out", type=Path, default=Path("results", "bench_random_walk.json"))
    return parser.parse_args()


def name_of(grid: tuple[int, int]) -> str:
    """Return a grid as text."""
    return f"{grid[0]}x{grid[1]}"


def maps(grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return CAMs with a few blobs, and edges along the borders of random regions."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, CLASSES + 1, 6, 8, generator=generator)
    smooth = F.interpolate(coarse, size=grid, mode="bicubic")[0]
    cams = smooth[:CLASSES].clamp(min=0)
    texture = 0.1 * torch.rand(1, *grid, generator=generator)
    edge = (0.9 * torch.exp(-((smooth[CLASSES:] / 0.1) ** 2)) + texture).clamp(0, 1)
    return cams / cams.amax((1, 2), keepdim=True), edge


def ours(cams: Tensor, edge: Tensor) -> Tensor:
    """Walk as the project does."""
    return propagate(cams, edge, radius=SETTINGS.walk_radius, beta=SETTINGS.walk_power, steps=SETTINGS.walk_steps)


def dense(cams: Tensor, edge: Tensor, squarings: int = SQUARINGS) -> Tensor:
    """Walk by squaring the dense transition in the type of the maps, with no more than two matrices at a time."""
    rows, columns, weights = entries(edge.double())
    transition = edge.new_zeros(edge.numel(), edge.numel())
    transition[rows, columns] = weights.to(edge.dtype)
    for _ in range(squarings):
        transition = transition @ transition
    return ((cams * (1 - edge)).flatten(1) @ transition).reshape(cams.shape)


def reference(cams: Tensor, edge: Tensor) -> Tensor:
    """Walk step by step in float64."""
    from scipy import sparse

    rows, columns, weights = (values.numpy() for values in entries(edge.double()))
    transposed = sparse.csr_matrix((weights, (columns, rows)), shape=(edge.numel(), edge.numel()))
    walked = (cams.double() * (1 - edge.double())).flatten(1).numpy().T
    for _ in range(SETTINGS.walk_steps):
        walked = transposed @ walked
    return torch.from_numpy(walked.T).reshape(cams.shape)


def entries(edge: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return row, column and value of the non-zeros of the transition."""
    root, half = symmetric_transition(edge[0], radius=SETTINGS.walk_radius, beta=SETTINGS.walk_power)
    root, width = root.flatten(), edge.shape[-1]
    offsets = [0, *(dy * width + dx for dy, dx in destinations(SETTINGS.walk_radius))]
    there, source = half.flatten(1).nonzero(as_tuple=True)
    destination = source + torch.tensor(offsets, device=edge.device)[there]
    weights, apart = half.flatten(1)[there, source], there > 0
    rows = torch.cat([source, destination[apart]])
    columns = torch.cat([destination, source[apart]])
    return rows, columns, torch.cat([weights, weights[apart]]) * root[rows] / root[columns]


def measure(grid: tuple[int, int], rounds: int, *, dense_rounds: int) -> dict[str, object]:
    """Compare both ways on the CPU."""
    cams, edge = maps(grid)
    truth = reference(cams, edge)
    row: dict[str, object] = {"cells": edge.numel()}
    row["ours"] = {**timed(ours, cams, edge, rounds, threads=1, truth=truth), "peak memory": peak_memory(ours, grid)}
    if dense_rounds:
        times = timed(dense, cams, edge, dense_rounds, threads=THREADS, truth=truth)
        row["dense"] = {**times, "peak memory": peak_memory(first_squaring, grid)}
        row |= ratios(row["dense"], row["ours"])
    return row


def timed(walk: Walk, cams: Tensor, edge: Tensor, rounds: int, *, threads: int, truth: Tensor) -> dict[str, object]:
    """Return the CPU seconds of a way to walk, and how far it is from the truth."""
    torch.set_num_threads(threads)
    if rounds > 1:
        walk(cams, edge)  # warms up
    times = []
    for _ in range(rounds):
        start = time.process_time()
        walked = walk(cams, edge)
        times.append(time.process_time() - start)
    return {"CPU seconds": [round(pick(times), 5) for pick in (median, min, max)], **compared(walked, truth)}


def compared(walked: Tensor, truth: Tensor) -> dict[str, float]:
    """Return the error in shares of the largest value, and the share of cells whose label is the same."""
    return {
        "error": ((walked.double() - truth).abs().max() / truth.max()).item(),
        "same labels": (labels_of(walked.double()) == labels_of(truth)).double().mean().item(),
    }


def labels_of(walked: Tensor) -> Tensor:
    """Return the label of each cell: the largest score beside the constant one of background."""
    background = torch.full_like(walked[:1], SETTINGS.background_score)
    return torch.cat([background, walked / walked.max()]).argmax(0)


def ratios(slow: dict[str, object], fast: dict[str, object]) -> dict[str, float]:
    """Return how many times one way costs what the other costs; small walks fit into memory that is there anyway."""
    found = {"ratio of CPU seconds": round(slow["CPU seconds"][0] / fast["CPU seconds"][0], 1)}
    if fast["peak memory"] >= SMALLEST_MEMORY:
        found["ratio of memory"] = round(slow["peak memory"] / fast["peak memory"], 1)
    return found


def extrapolate(row: dict[str, object], measured: dict[str, object]) -> None:
    """Add to a row what the dense way would take: time by the cube of the cells, memory by their square."""
    factor = row["cells"] / measured["cells"]
    row["dense, extrapolated"] = {
        "CPU seconds": [round(seconds * factor**3, 1) for seconds in measured["dense"]["CPU seconds"]],
        "peak memory": round(measured["dense"]["peak memory"] * factor**2, 1),
    }
    row |= {f"{name}, extrapolated": ratio for name, ratio in ratios(row["dense, extrapolated"], row["ours"]).items()}


def peak_memory(walk: Walk, grid: tuple[int, int]) -> float:
    """Return the MB that a walk needs in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        before, after = pool.submit(resident_before_and_after, walk, grid).result()
    return round((after - before) / 2**10, 1)


def first_squaring(cams: Tensor, edge: Tensor) -> Tensor:
    """Go as far as the dense way needs to reach its peak memory."""
    return dense(cams, edge, squarings=1)


def resident_before_and_after(walk: Walk, grid: tuple[int, int]) -> tuple[int, int]:
    """Return the largest resident size in KiB before and after a walk; a small one has loaded what it imports."""
    torch.set_num_threads(1)
    cams, edge = maps(grid)
    walk(*maps((12, 12)))
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the largest size is now the present one
    before = largest_resident()
    walk(cams, edge)
    return before, largest_resident()


def largest_resident() -> int:
    """Return the largest resident size of this process in KiB (Linux; getrusage would count the parent's, too)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def measure_on_cuda(grid: tuple[int, int], rounds: int) -> dict[str, object]:
    """Compare both ways on a CUDA device."""
    cams, edge = maps(grid)
    truth = reference(cams, edge)
    row = {name: timed_on_cuda(walk, cams, edge, rounds, truth) for name, walk in (("ours", ours), ("dense", dense))}
    ratio = row["dense"]["seconds"][0] / row["ours"]["seconds"][0]
    return {**row, "ratio of seconds": round(ratio, 1)}


def timed_on_cuda(walk: Walk, cams: Tensor, edge: Tensor, rounds: int, truth: Tensor) -> dict[str, object]:
    """Return seconds, peak memory and error of a way to walk on a CUDA device."""
    cams, edge = cams.to("cuda"), edge.to("cuda")
    walk(cams, edge)
    torch.cuda.reset_peak_memory_stats()
    before, times = torch.cuda.memory_allocated(), []
    for _ in range(rounds):
        torch.cuda.synchronize()
        start = time.perf_counter()
        walked = walk(cams, edge)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return {
        "seconds": [round(pick(times), 6) for pick in (median, min, max)],
        "peak memory": round((torch.cuda.max_memory_allocated() - before) / 2**20, 1),
        **compared(walked.cpu(), truth),
    }


if __name__ == "__main__":
    main()
