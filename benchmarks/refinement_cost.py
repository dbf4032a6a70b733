"""What each step of refinement costs for an image of VOC's size, and how it scales with processes.

    python benchmarks/refinement_cost.py --photos PHOTOS

Photographs are cut to 500 x 375 px and get CAMs of three drawn blobs; IRNet is the published ResNet-50 with random
weights, which cost what trained ones do. Every step runs in processes of one thread, first one of them, then two, on as
many images each: with two idle cores the throughput should double. Cores of a rented machine are shared with others,
which its own clock does not show. So a bare loop of Python runs the same way right before and right after each
measurement. Where it does not double, the cores were not idle: such a round is shown, but is none of the idle ones.
Extrapolated to the 10,582 images of VOC trainaug.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from provenance import provenance

from ktse.artifacts import write_json
from ktse.config import DataSettings, RefinementSettings
from ktse.data.image_io import read_image
from ktse.data.transforms import normalize
from ktse.nets.irnet import build_irnet, edges_of_image
from ktse.ops.crf_refinement import refine_by_crf
from ktse.ops.labels import scores_with_background
from ktse.ops.par import pixel_adaptive_refinement
from ktse.ops.random_walk import propagate
from ktse.refinement.confidence import confident_region
from ktse.refinement.ir_labels import ir_label
from ktse.refinement.unrefined import Unrefined
from ktse.types import CamSet

HEIGHT, WIDTH, VOC_IMAGES, SECONDS_PER_HOUR = 375, 500, 10_582, 3600
CONTROL, LOOP, IDLE = "control: a bare loop of Python", 2_000_000, 1.9
PROCESSES = 2
IN_PROCESS: dict[str, Any] = {}  # what a process of the pool keeps
RESULT = Path(__file__).resolve().parents[1] / "results" / "refinement_cost.json"
Step = Callable[[Unrefined], object]
Speed = tuple[float, float]  # images a second of all processes, CPU seconds an image


class Round(NamedTuple):
    """One measurement of a step: one process, two, and what two loops do for one, the lower of before and after."""

    alone: Speed
    together: Speed
    control: float

    @property
    def ratio(self) -> float:
        """Throughput of two processes to that of one."""
        return self.together[0] / self.alone[0]


def read_items(photos: Path, count: int) -> list[Unrefined]:
    """Return photographs cut to VOC's size, with CAMs of three blobs at drawn places."""
    paths = [path for path in sorted(photos.rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    large = (read_image(path) for path in paths)
    cut = (image[:HEIGHT, :WIDTH] for image in large if image.shape[0] >= HEIGHT and image.shape[1] >= WIDTH)
    rows, columns = np.indices(((HEIGHT - 1) // 4 + 1, (WIDTH - 1) // 4 + 1))
    items = []
    for number, image in zip(range(count), cut, strict=False):
        places = np.random.default_rng(number).uniform((20, 20, 8), (75, 105, 25), (3, 3))
        blobs = [np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * size**2)) for y, x, size in places]
        cams = CamSet(np.stack(blobs).astype(np.float16), np.arange(3), (HEIGHT, WIDTH))
        items.append(Unrefined(f"{number}", np.ascontiguousarray(image), cams))
    if len(items) < count:
        raise SystemExit(f"{photos} has {len(items)} photographs of at least {WIDTH} x {HEIGHT} px, wanted {count}")
    return items


def steps() -> dict[str, Step]:
    """Return every step as a function of one image."""
    settings, data = RefinementSettings(), DataSettings()
    net = build_irnet(settings.irn.trunk).eval()
    edge = torch.rand(1, (HEIGHT - 1) // 4 + 1, (WIDTH - 1) // 4 + 1, generator=torch.manual_seed(0))

    def scores_of(item: Unrefined) -> torch.Tensor:
        return scores_with_background(item.cams, settings.irn.background_score)

    def par(item: Unrefined) -> object:
        image = torch.from_numpy(item.image).movedim(-1, 0)[None] / 255
        return pixel_adaptive_refinement(image, scores_of(item)[None])

    def edges(item: Unrefined) -> object:
        return edges_of_image(net, torch.from_numpy(normalize(item.image, data.mean, data.std)).movedim(-1, 0))

    return {
        "PAR": par,
        "CRF": lambda item: refine_by_crf(item.image, scores_of(item), settings.crf),
        "IR label (two CRFs)": lambda item: ir_label(item, settings),
        "IRNet (ResNet-50, image and mirror)": edges,
        "random walk": lambda item: propagate(torch.from_numpy(item.cams.scores.astype(np.float32)), edge),
        "confidence": lambda item: confident_region(scores_of(item), settings.confident_share),
        CONTROL: lambda item: sum(number * number for number in range(LOOP)),
    }


def prepare(photos: Path, count: int, together: Any) -> None:
    """Read the images and build the steps in a process of one thread."""
    torch.set_num_threads(1)
    IN_PROCESS.update(items=read_items(photos, count), steps=steps(), together=together)


def work(name: str, processes: int) -> dict[str, float]:
    """Do one step for all images of a process; returns when it began, when it ended, and CPU seconds."""
    items, step = IN_PROCESS["items"], IN_PROCESS["steps"][name]
    with torch.inference_mode():
        step(items[0])  # what is built once is not counted
        if processes > 1:
            IN_PROCESS["together"].wait()
        begun, cpu = time.time(), time.process_time()
        for item in items:
            step(item)
        return {"begun": begun, "ended": time.time(), "cpu": time.process_time() - cpu}


def run_together(pool: Executor, name: str, count: int, processes: int) -> Speed:
    """Return images a second of all processes together, and CPU seconds an image."""
    done = [job.result() for job in [pool.submit(work, name, processes) for _ in range(processes)]]
    wall = max(one["ended"] for one in done) - min(one["begun"] for one in done)
    return processes * count / wall, sum(one["cpu"] for one in done) / (processes * count)


def measure(pool: Executor, name: str, count: int) -> tuple[Speed, Speed]:
    """Return the speed of one process and that of two."""
    return run_together(pool, name, count, 1), run_together(pool, name, count, PROCESSES)


def row_of(name: str, rounds: list[Round]) -> dict[str, Any]:
    """Return the row of one step: medians over the rounds, and the ratios of every round."""
    alone = median(one.alone[1] for one in rounds)
    idle = [one.ratio for one in rounds if one.control >= IDLE]
    return {
        "step": name,
        "CPU s an image": round(alone, 4),
        "images/s, 1 process": round(median(one.alone[0] for one in rounds), 2),
        "images/s, 2 processes": round(median(one.together[0] for one in rounds), 2),
        "throughput, 2 : 1": round(median(one.ratio for one in rounds), 2),
        "of two loops": round(median(one.control for one in rounds), 2),
        "2 : 1 on idle cores": round(median(idle), 2) if idle else None,
        "idle rounds": f"{len(idle)} of {len(rounds)}",
        "of each round": [round(one.ratio, 2) for one in rounds],
        "loops of each round": [round(one.control, 2) for one in rounds],
        f"core-hours for {VOC_IMAGES:,} images": round(alone * VOC_IMAGES / SECONDS_PER_HOUR, 2),
    }


def main() -> None:
    """Measure every step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs, at least 500 x 375 px")
    names = [name for name in steps() if name != CONTROL]
    parser.add_argument("--steps", nargs="+", choices=names, metavar="STEP", help=f"only these of: {', '.join(names)}")
    parser.add_argument("--count", type=int, default=10, help="images for each process")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    rounds: dict[str, list[Round]] = {name: [] for name in options.steps or names}
    context = multiprocessing.get_context("spawn")
    given = (options.photos, options.count, context.Barrier(PROCESSES))
    with ProcessPoolExecutor(PROCESSES, mp_context=context, initializer=prepare, initargs=given) as pool:

        def loops() -> float:
            alone, together = measure(pool, CONTROL, options.count)
            return together[0] / alone[0]

        before = loops()
        for _ in range(options.repeats):
            for name, done in rounds.items():
                speeds, after = measure(pool, name, options.count), loops()
                done.append(Round(*speeds, min(before, after)))
                before = after
                print(row_of(name, done), flush=True)
    rows = [row_of(name, done) for name, done in rounds.items()]
    write_json(options.result, {**provenance("refinement_cost"), "rows": rows})


if __name__ == "__main__":
    main()
