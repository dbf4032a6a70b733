"""Every row of the ablation on fresh Shapes worlds; each world is drawn, trained on and scored anew.

    python benchmarks/shapes_ablation.py --worlds 1 2 3 --out runs/ablation

Rows of one world share nothing but the world and the random seeds, so base and full are paired on it. Finished rows
are kept: the same command goes on where it was stopped. Results go to results/shapes_ablation.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from provenance import provenance

from ktse.artifacts import write_json
from ktse.config import replace
from ktse.pipeline import run_recipe
from ktse.recipes import load_recipe

ROWS = ("base", "sie", "ssr", "mga", "sie-ssr", "all", "sie-detached", "cutmix")
WITH_SEGMENTER = ("base", "all")
RESULT = Path(__file__).resolve().parents[1] / "results" / "shapes_ablation.json"


def run_row(row: str, world: int, out: Path, random_seed: int) -> dict[str, object]:
    """Train and score one row on one world."""
    recipe = replace(
        load_recipe(f"demo/{row}"),
        data={"world_seed": world},
        runtime={"random_seed": random_seed},
        evaluation={"baseline": False, "fully_supervised": row == "base"},
    )
    stages = None if row in WITH_SEGMENTER else ("localizer", "cams", "scores")
    scores = run_recipe(recipe, data=None, out=out / f"world{world}" / row, stages=stages)
    return {
        "row": row,
        "world": world,
        "random_seed": random_seed,
        "scores": [score.to_json() for score in scores],
    }


def main() -> None:
    """Run all rows on all worlds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, nargs="+", default=[1, 2, 3], help="seeds of the worlds")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--random-seed", type=int, default=5137)
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    rows = []
    for world in options.worlds:
        for row in options.rows:
            rows.append(run_row(row, world, options.out, options.random_seed))
            write_json(options.result, {**provenance("shapes_ablation"), "rows": rows})
            print(f"world {world}, {row}: done", flush=True)


if __name__ == "__main__":
    main()
