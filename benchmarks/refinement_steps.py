"""Pseudo masks by every way of refinement, from the same CAMs: none, PAR, CRF, PAR and CRF, IRN, IRN and CRF.

    python benchmarks/refinement_steps.py --worlds 1 2 3 --out runs/later_stages

One localizer of the full method is trained on each Shapes world. The first row is the seeds at the threshold that is
best on the masks, as the paper scores them; all others have fixed background scores, found on other worlds. "Long PAR"
has four times the iterations and keeps peaks. With `--data FOLDER --recipe folder/cpu` the same table is made for a
folder of images with masks. Finished rows are kept.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from kept_rows import Row, kept_rows
from provenance import provenance

from ktse.artifacts import RunDirectory, read_json, stage_key, write_json
from ktse.config import Recipe, replace
from ktse.overrides import apply_overrides
from ktse.pipeline import run_recipe
from ktse.recipes import load_recipe

LONG = {"par_iterations": 40, "par_keeps_peaks": True}
WAYS: dict[str, dict[str, Any]] = {
    "seeds, fixed": {"steps": ()},
    "PAR": {"steps": ("par",)},
    "CRF": {"steps": ("crf",), "background_score": 0.1},
    "PAR + CRF": {"steps": ("par", "crf")},
    "PAR + CRF, background 0.15": {"steps": ("par", "crf"), "background_score": 0.15},
    "long PAR": {"steps": ("par",), **LONG},
    "long PAR + CRF": {"steps": ("par", "crf"), **LONG},
    "long PAR + CRF, background 0.15": {"steps": ("par", "crf"), **LONG, "background_score": 0.15},
    "long PAR + CRF, background 0.12": {"steps": ("par", "crf"), **LONG, "background_score": 0.12},
    "IRN": {"steps": ("irn",)},
    "IRN + CRF": {"steps": ("irn", "crf")},
}
RESULT = Path(__file__).resolve().parents[1] / "results" / "refinement_steps.json"


def measure(recipe: Recipe, changes: list[str], data: Path | None, out: Path, data_set: str | int) -> list[Row]:
    """Train once, refine in every way, and return a row for the seeds and one for each way; changes go before ways."""
    recipe = apply_overrides(recipe, changes)
    run_recipe(recipe, data=data, out=out, stages=("localizer", "cams"))
    ways: dict[str, Recipe] = {}
    for way, settings in WAYS.items():
        refined = apply_overrides(replace(recipe, refinement=settings), changes)
        if refined not in ways.values():  # else two ways that the changes have made one
            ways[way] = refined
    rows: list[Row] = []
    for way, refined in ways.items():
        kept_in = out / f"refinement_steps_{stage_key(way, refined)}.json"  # other settings are measured anew
        scores = kept_rows(kept_in, partial(scores_of, refined, data, out))
        if not rows:
            best = next(score for score in scores if score["stage"] == "seeds")
            rows.append({"world": data_set, "row": "seeds, best threshold", "scores": [{**best, "stage": "masks"}]})
        kept = [score for score in scores if score["stage"] in ("ir_labels", "masks")]
        rows.append({"world": data_set, "row": way, "scores": kept})
    return rows


def scores_of(recipe: Recipe, data: Path | None, out: Path) -> list[Row]:
    """Refine in one way, from CAMs that are there, and return the scores of the run."""
    run_recipe(recipe, data=data, out=out, stages=("masks", "scores"))
    scores: list[Row] = read_json(RunDirectory(out).scores)["scores"]
    return scores


def main() -> None:
    """Run all ways on all data sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, nargs="+", default=[1, 2, 3], help="seeds of the Shapes worlds")
    parser.add_argument("--recipe", default="demo/irn")
    parser.add_argument("--data", type=Path, help="a folder of images in the place of Shapes")
    parser.add_argument("--set", nargs="*", default=[], metavar="SECTION.KEY=VALUE", help="settings of every way")
    parser.add_argument("--out", type=Path, default=Path("runs/later_stages"))
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    alone = {"baseline": False, "fully_supervised": False}
    recipe = replace(load_recipe(options.recipe), evaluation=alone)
    rows: list[Row] = []
    for data_set in options.worlds if options.data is None else [options.data.name]:
        chosen = replace(recipe, data={"world_seed": data_set}) if options.data is None else recipe
        rows += measure(chosen, options.set, options.data, options.out / str(data_set), data_set)
        write_json(options.result, {**provenance("refinement_steps"), "recipe": recipe.name, "rows": rows})
        print(f"{data_set}: done", flush=True)


if __name__ == "__main__":
    main()
