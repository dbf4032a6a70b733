"""Peak memory of `ktse predict` on 201 images of mixed size, one of them 12,000 x 9,000 px and one of them broken.

    python benchmarks/predict_memory.py --model runs/demo

The command runs in a process of its own, whose largest resident size is read when it ends. Exit code 2 is expected: the
broken image is named, and all others are done. A second run, on the first ten small images, says what PyTorch and the
network need by themselves.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image
from provenance import provenance

from ktse.artifacts import write_json

SMALL, HUGE = 199, (12_000, 9_000)
RESULT = Path(__file__).resolve().parents[1] / "results" / "predict_memory.json"


def draw_images(folder: Path) -> None:
    """Write the small images, the huge one and the broken one."""
    generator = np.random.default_rng(0)
    for number in range(SMALL):
        width, height = generator.integers(64, 640, 2)
        coarse = generator.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((int(width), int(height))).save(folder / f"small{number:03}.jpg")
    coarse = generator.integers(0, 256, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(HUGE).save(folder / "huge.jpg")
    (folder / "broken.jpg").write_bytes((folder / "small000.jpg").read_bytes()[:500])


def predict(model: Path, images: Path, out: Path) -> dict[str, Any]:
    """Run the command and return its exit code, its peak memory, its time and what it wrote."""
    command = [sys.executable, "-m", "ktse", "predict", str(model), str(images), "-o", str(out)]
    start = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    last = process.stderr.read().splitlines()[-1]
    _, status, usage = os.wait4(process.pid, 0)
    return {
        "images": len(list(images.iterdir())),
        "predictions": len(list(out.glob("*.png"))),
        "exit code": os.waitstatus_to_exitcode(status),
        "last line": last.replace(str(images), "IMAGES"),
        "peak, MiB": round(usage.ru_maxrss / 2**10),
        "s": round(time.monotonic() - start),
    }


def main() -> None:
    """Measure both runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="run directory or file of a segmenter")
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        everything, few = Path(folder, "images"), Path(folder, "few")
        everything.mkdir()
        few.mkdir()
        draw_images(everything)
        for path in sorted(everything.glob("small*"))[:10]:
            (few / path.name).write_bytes(path.read_bytes())
        rows = {
            "ten small images": predict(options.model, few, Path(folder, "few_out")),
            "201 images, one of 12,000 x 9,000 px": predict(options.model, everything, Path(folder, "out")),
        }
    write_json(options.result, {**provenance("predict_memory"), "rows": rows})
    print(rows)


if __name__ == "__main__":
    main()
