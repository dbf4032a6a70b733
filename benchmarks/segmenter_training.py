"""The plain segmenter against co-training, each beside the same network and schedule on true masks.

    python benchmarks/segmenter_training.py --worlds 1 2 3 --out runs/later_stages

The localizer of each Shapes world is trained once, and so is its IRNet; runs of benchmarks/refinement_steps.py in the
same folder are gone on with. Finished rows are kept.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from kept_rows import Row, kept_rows
from provenance import provenance

from ktse.artifacts import RunDirectory, read_json, write_json
from ktse.config import replace
from ktse.pipeline import run_recipe
from ktse.recipes import load_recipe

RECIPES = {"PAR, plain": "demo", "IRN + CRF, plain": "demo/irn", "IRN + CRF, co-training": "demo/full"}
RESULT = Path(__file__).resolve().parents[1] / "results" / "segmenter_training.json"


def measure(row: str, world: int, out: Path) -> list[Row]:
    """Run a recipe and its bound on true masks, and return the row."""
    recipe = replace(
        load_recipe(RECIPES[row]),
        data={"world_seed": world},
        evaluation={"baseline": False, "fully_supervised": True},
    )
    run_recipe(recipe, data=None, out=out)
    scores = read_json(RunDirectory(out).scores)["scores"]
    predicted = next(score for score in scores if score["stage"] == "predictions")
    share = 100 * predicted["miou"] / predicted["fully_supervised"]
    kept = [score for score in scores if score["stage"] in ("masks", "predictions")]
    return [{"row": row, "world": world, "share of fully supervised, %": round(share, 1), "scores": kept}]


def main() -> None:
    """Run all recipes on all worlds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, nargs="+", default=[1, 2, 3], help="seeds of the Shapes worlds")
    parser.add_argument("--rows", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--out", type=Path, default=Path("runs/later_stages"))
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    rows: list[Row] = []
    for world in options.worlds:
        for row in options.rows:
            out = options.out / str(world)
            kept = out / f"segmenter_training_{list(RECIPES).index(row)}.json"
            rows += kept_rows(kept, partial(measure, row, world, out))
            write_json(options.result, {**provenance("segmenter_training"), "rows": rows})
            print(f"world {world}, {row}: done", flush=True)


if __name__ == "__main__":
    main()
