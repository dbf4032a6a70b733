"""From tags to masks, stage by stage, on embedded drawings: python examples/tags_to_masks.py [RUN]

Every stage leaves files in RUN, so that a second start goes on where the first one stopped.
"""

from __future__ import annotations

import sys
from pathlib import Path

import ktse
from ktse.artifacts import RunDirectory
from ktse.config import Recipe


def tags_to_masks(recipe: Recipe, train: ktse.Shapes, val: ktse.Shapes, run: RunDirectory) -> float:
    """Run every stage and return the mIoU of the predictions on images whose tags were never looked at."""
    ktse.train_localizer(train, recipe, run=run)  # learns from tags where things are
    ktse.localize(train, recipe, run=run)  # class activation maps and seeds
    ktse.refine(train, recipe, run=run)  # pseudo masks
    ktse.train_segmenter(train, recipe, run=run)  # learns from the pseudo masks
    ktse.predict(val, recipe, run=run)  # needs no tags
    score = ktse.evaluate(val, run.predictions, recipe=recipe)
    print(f"mIoU {score.miou:.1f}: {score.protocol.in_words()}")
    return score.miou


if __name__ == "__main__":
    tags_to_masks(
        ktse.load_recipe("demo/quick"),
        ktse.Shapes("train", count=64),
        ktse.Shapes("val", count=32),
        RunDirectory(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/example")),
    )
