"""The dense CRF against pydensecrf2, both in one process on one thread, in turns.

    OMP_NUM_THREADS=1 KTSE_SHARED=shared python benchmarks/bench_dense_crf.py [--photographs FOLDER] [--rounds N]

Photographs are resized to 375 x 500. Each round times one CRF of either side (10 iterations, the settings of IR labels,
everything from image and probabilities to the result), then the two CRFs of one IR label: ours build the kernels once
and filter both at once. Ours finds its spatial kernel kept from the photograph before, as in any data set; what it
costs when it is new is measured too. Times are CPU seconds; where there is a GPU, its images a second by the clock are
added. Writes `results/bench_dense_crf.json` or what `--out` says. Needs the extra `crf`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from provenance import provenance
from torch import Tensor
from torch.nn import functional as F

from ktse.ops.dense_crf import dense_crf, dense_crfs, pairwise_kernels, unary_from_labels

HEIGHT, WIDTH = 375, 500
LABELS = (4, 21)
ITERATIONS = 10
GAUSSIAN, BILATERAL = (3.0, 3.0), (50.0, 5.0, 10.0)
TARGETS = {"4 labels": 2.5, "21 labels": 2.0, "one IR label": 1.5}
"""Largest ratios to the time of pydensecrf2 that are asked for."""


def main() -> None:
    """Measure, print and write the result."""
    arguments = parse()
    torch.set_num_threads(1)
    images = [photograph(path) for path in sorted(arguments.photographs.glob("*.jpg"))[: arguments.count]]
    result = provenance("dense CRF against pydensecrf2") | {
        "size": [HEIGHT, WIDTH],
        "iterations": ITERATIONS,
        "gaussian": GAUSSIAN,
        "bilateral": BILATERAL,
        "photographs": len(images),
        "rounds": arguments.rounds,
        "unit": "CPU seconds of one thread; [median, smallest, largest]",
        "cases": {
            name: measure(pair, images, arguments.rounds) | {"largest ratio asked for": TARGETS[name]}
            for name, pair in cases().items()
        },
        "new spatial kernel": spread([seconds(lambda i=i: spatial_kernel(i)) for i in range(arguments.rounds)]),
        "peak memory": {f"{h}x{w}": peak_memory(h, w) for h, w in ((HEIGHT, WIDTH), (2 * HEIGHT, 2 * WIDTH))},
    }
    if torch.cuda.is_available():
        result["GPU"] = {"device": torch.cuda.get_device_name()} | {
            f"{labels} labels": on_gpu(labels, images, arguments.rounds) for labels in LABELS
        }
    print(json.dumps(result, indent=2))
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """Read the command line."""
    shared = Path(os.environ.get("KTSE_SHARED", "shared"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=Path, default=shared / "data" / "coco_tiny" / "val2017")
    parser.add_argument("--count", type=int, default=3, help="photographs")
    parser.add_argument("--rounds", type=int, default=4, help="rounds for each photograph and case")
    parser.add_argument("--out", type=Path, default=Path("results", "bench_dense_crf.json"))
    return parser.parse_args()


def photograph(path: Path) -> NDArray[np.uint8]:
    """Read a photograph at the size of the benchmark."""
    with Image.open(path) as image:
        return np.array(image.convert("RGB").resize((WIDTH, HEIGHT)))


def probabilities(labels: int, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """Return smooth random probabilities (L, H, W)."""
    coarse = 2 * torch.randn(1, labels, 10, 12, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, size=(height, width), mode="bicubic")[0].softmax(0)


Procedure = Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]


def cases() -> dict[str, tuple[Procedure, Procedure]]:
    """Return each case with our procedure and that of pydensecrf2."""
    pairs: dict[str, tuple[Procedure, Procedure]] = {}
    for labels in LABELS:
        given = probabilities(labels)
        pairs[f"{labels} labels"] = (
            lambda image, given=given: [ours(image, given)],
            lambda image, given=given: [theirs(image, -given.clamp(1e-5, 1).log())],
        )
    hard = probabilities(3).argmax(0), probabilities(3).argmin(0)
    unaries = [unary_from_labels(labels, 3) for labels in hard]
    pairs["one IR label"] = (
        lambda image: our_pair(image, unaries),
        lambda image: [theirs(image, -unary.log()) for unary in unaries],
    )
    return pairs


def ours(image: NDArray[np.uint8], given: Tensor) -> NDArray[np.float32]:
    """Run our CRF."""
    return dense_crf(image, given, iterations=ITERATIONS, gaussian=GAUSSIAN, bilateral=BILATERAL).numpy()


def our_pair(image: NDArray[np.uint8], unaries: list[Tensor]) -> list[NDArray[np.float32]]:
    """Run two of our CRFs on one image together."""
    settings = {"iterations": ITERATIONS, "gaussian": GAUSSIAN, "bilateral": BILATERAL}
    return [refined.numpy() for refined in dense_crfs(image, unaries, **settings)]


def theirs(image: NDArray[np.uint8], energy: Tensor) -> NDArray[np.float32]:
    """Run the CRF of pydensecrf2."""
    import pydensecrf.densecrf as crf

    field = crf.DenseCRF2D(WIDTH, HEIGHT, len(energy))
    field.setUnaryEnergy(np.ascontiguousarray(energy.reshape(len(energy), -1).numpy()))
    field.addPairwiseGaussian(sxy=GAUSSIAN[0], compat=GAUSSIAN[1])
    field.addPairwiseBilateral(sxy=BILATERAL[0], srgb=BILATERAL[1], rgbim=image, compat=BILATERAL[2])
    return np.array(field.inference(ITERATIONS)).reshape(-1, HEIGHT, WIDTH)


def measure(pair: tuple[Procedure, Procedure], images: list[NDArray[np.uint8]], rounds: int) -> dict[str, object]:
    """Time both procedures in turns, and compare what they return."""
    times: tuple[list[float], list[float]] = ([], [])
    agreement, difference = 1.0, 0.0
    for image in images:
        for mine, reference in zip(pair[0](image), pair[1](image), strict=True):  # warms up, too
            agreement = min(agreement, float((mine.argmax(0) == reference.argmax(0)).mean()))
            difference = max(difference, float(np.abs(mine - reference).max()))
        for _ in range(rounds):
            for procedure, log in zip(pair, times, strict=True):
                log.append(seconds(lambda procedure=procedure, image=image: procedure(image)))
    return {
        "ours": spread(times[0]),
        "pydensecrf2": spread(times[1]),
        "ratio": spread([mine / reference for mine, reference in zip(*times, strict=True)]),
        "smallest agreement of labels": agreement,
        "largest difference of probabilities": difference,
    }


def on_gpu(labels: int, images: list[NDArray[np.uint8]], rounds: int) -> dict[str, object]:
    """Time our CRF on a GPU, from the image on the CPU to the result on the GPU, and compare it with the CPU's."""
    given = probabilities(labels)
    there = given.to("cuda")
    settings = {"iterations": ITERATIONS, "gaussian": GAUSSIAN, "bilateral": BILATERAL}
    difference, rates = 0.0, []
    for image in images:
        refined = dense_crf(image, there, **settings)  # warms up, too
        difference = max(difference, float(np.abs(refined.cpu().numpy() - ours(image, given)).max()))
        for _ in range(rounds):
            torch.cuda.synchronize()
            start = time.perf_counter()
            dense_crf(image, there, **settings)
            torch.cuda.synchronize()
            rates.append(1 / (time.perf_counter() - start))
    return {
        "images a second": spread(rates),
        "largest difference to the CPU": difference,
        "largest memory, MB": round(torch.cuda.max_memory_allocated() / 2**20, 1),
    }


def seconds(call: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def spread(values: list[float]) -> list[float]:
    """Return median, smallest and largest."""
    return [round(value, 4) for value in (median(values), min(values), max(values))]


def spatial_kernel(number: int) -> object:
    """Build a spatial kernel that no call before has built."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    return pairwise_kernels(image, gaussian=(GAUSSIAN[0] + 1e-4 * (number + 1), GAUSSIAN[1]), bilateral=None)


def peak_memory(height: int, width: int) -> dict[str, float]:
    """Return what a process of its own needs for one CRF, beyond what it had before it."""
    labels = max(LABELS)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        before, after = pool.submit(resident_before_and_after, height, width, labels).result()
    return {
        "MB": round((after - before) / 2**10, 1),
        "bytes per pixel": round((after - before) * 2**10 / height / width),
    }


def resident_before_and_after(height: int, width: int, labels: int) -> tuple[int, int]:
    """Return the largest resident size in KiB before and after a CRF of noise."""
    torch.set_num_threads(1)
    image = np.random.default_rng(0).integers(0, 40, (height // 5, width // 5, 3), dtype=np.uint8)
    image = np.ascontiguousarray(image.repeat(5, 0).repeat(5, 1))
    given = probabilities(labels, height, width)
    ours(image[:20, :20], given[:, :20, :20])
    before = largest_resident()
    ours(image, given)
    return before, largest_resident()


def largest_resident() -> int:
    """Return the largest resident size of this process in KiB (Linux; getrusage would count the parent's, too)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
