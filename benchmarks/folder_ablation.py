"""The rows of the ablation (paper Tab. 6) on a folder of photographs with tags, seeds alone or all stages.

    python benchmarks/folder_ablation.py --data runs/clothes --rows base sie ssr mga sie-ssr all \
        "all localization.foreground_images=all" --complete base all \
        --set localization.trunk_weights=runs/tf_efficientnet_lite0.safetensors data.max_images=600

A row is the name of an ablation row, and after it any settings in which it differs. All rows share one schedule, the
random seed and the images. Finished rows are kept: the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from functools import partial
from pathlib import Path

from kept_rows import Row, kept_rows
from provenance import provenance

from ktse.artifacts import write_json
from ktse.config import Recipe, replace
from ktse.overrides import apply_overrides
from ktse.pipeline import run_recipe
from ktse.recipes import load_recipe
from ktse.recipes.components import ROWS, weights_with

SEEDS = ("localizer", "cams", "scores")
LONGEST_NAME = 200
RESULT = Path(__file__).resolve().parents[1] / "results" / "folder_ablation.json"


def measure(row: str, recipe: Recipe, data: Path, out: Path, *, complete: bool, bound: bool) -> list[Row]:
    """Run a row, and return it with its scores."""
    name, *settings = row.split()
    kept = weights_with(ROWS[name], recipe.localization.weights)
    recipe = replace(recipe, localization={"weights": kept}, evaluation={"baseline": False})
    recipe = replace(apply_overrides(recipe, settings), evaluation={"fully_supervised": bound})
    scores = run_recipe(recipe, data=data, out=out, stages=None if complete else SEEDS)
    return [
        {"world": data.name, "row": row, "random_seed": recipe.runtime.random_seed}
        | {"scores": [score.to_json() for score in scores]}
    ]


def folder_name(row: str) -> str:
    """Return a name for the run of a row: the row itself, or its start and a digest where file systems refuse it."""
    name = re.sub(r"[^\w.=-]+", "_", row)
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}_{hashlib.sha256(row.encode()).hexdigest()[:8]}"


def main() -> None:
    """Run the rows one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder of images with tags and some masks")
    parser.add_argument("--recipe", default="folder/cpu")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), metavar="'NAME [SECTION.KEY=VALUE ...]'")
    parser.add_argument("--complete", nargs="*", default=[], metavar="ROW", help="rows that run all stages")
    parser.add_argument("--bound", action="store_true", help="train the segmenter of these rows on true masks, too")
    parser.add_argument("--set", nargs="*", default=[], metavar="SECTION.KEY=VALUE", help="settings of all rows")
    parser.add_argument("--out", type=Path, default=Path("runs/folder_ablation"))
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    recipe = apply_overrides(load_recipe(options.recipe), options.set)
    rows: list[Row] = []
    for row in options.rows:
        out, complete = options.out / folder_name(row), row in options.complete
        bound = complete and options.bound
        make = partial(measure, row, recipe, options.data, out, complete=complete, bound=bound)
        rows += kept_rows(out / ("all_stages.json" if complete else "seeds.json"), make)
        write_json(options.result, {**provenance("folder_ablation"), "recipe": recipe.name, "rows": rows})
        print(f"{row}: done", flush=True)


if __name__ == "__main__":
    main()
