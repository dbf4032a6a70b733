"""Base and full method, each trained with several random seeds: what of a gain is the method, and what is chance.

    OMP_NUM_THREADS=1 python benchmarks/shapes_repeats.py --worlds 1 2 3 --random-seeds 1 2 3 --out runs/repeats

On each Shapes world, rows of one random seed differ in the method alone. The maps are refined by PAR and a CRF after
it, with settings found on other worlds. Finished rows are kept, so that two commands with other random seeds can run
side by side and a third, with all of them, collects their rows.
"""

from __future__ import annotations

import argparse
from functools import partial
from itertools import product
from pathlib import Path

from kept_rows import Row, kept_rows
from provenance import provenance

from ktse.artifacts import write_json
from ktse.config import replace
from ktse.pipeline import run_recipe
from ktse.recipes import load_recipe

METHODS = {"base": "demo/base", "full": "demo/all"}
RESULT = Path(__file__).resolve().parents[1] / "results" / "shapes_repeats.json"


def measure(method: str, random_seed: int, world: int, out: Path) -> list[Row]:
    """Train the localizer of one method once, refine its maps, and return the row with seeds and masks."""
    recipe = replace(
        load_recipe(METHODS[method]),
        data={"world_seed": world},
        refinement={"steps": ("par", "crf")},
        runtime={"random_seed": random_seed},
        evaluation={"baseline": False, "fully_supervised": False},
    )
    scores = run_recipe(recipe, data=None, out=out, stages=("localizer", "cams", "masks", "scores"))
    kept = [score.to_json() for score in scores if score.protocol.threshold_source != "fixed" or score.stage != "seeds"]
    return [{"row": f"{method}, random seed {random_seed}", "world": world, "scores": kept}]


def main() -> None:
    """Run both methods with every random seed on every world."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, nargs="+", default=[1, 2, 3], help="seeds of the Shapes worlds")
    parser.add_argument("--random-seeds", type=int, nargs="+", default=[1, 2, 3], help="seeds of the trainings")
    parser.add_argument("--out", type=Path, default=Path("runs/repeats"))
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    rows: list[Row] = []
    for random_seed, world, method in product(options.random_seeds, options.worlds, METHODS):
        out = options.out / f"{method}_{random_seed}_{world}"
        rows += kept_rows(out / "shapes_repeats.json", partial(measure, method, random_seed, world, out))
        write_json(options.result, {**provenance("shapes_repeats"), "rows": rows})
        print(f"world {world}, random seed {random_seed}, {method}: done", flush=True)


if __name__ == "__main__":
    main()
