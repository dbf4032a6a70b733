"""Checks of the Shapes world itself: the striking parts tell the class, the bodies do not.

    python benchmarks/shapes_world.py

A classifier (the demo's trunk with its packaged weights, global pooling, one linear layer) learns the seven classes
from images with one thing each, drawn whole. It is then asked about unseen images: whole, with only the striking parts
drawn, and with a grey patch over the striking parts. Writes `results/shapes_world.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import get_args

from ktse.data.shapes_drawing import Show
from ktse.data.shapes_things import KINDS
from ktse.nets.demo_trunk import load_demo_weights
from ktse.pretraining import (
    TRAINING_STREAM,
    VALIDATION_STREAM,
    PretrainingSettings,
    accuracy,
    draw_single_things,
    new_kind_classifier,
    one_exact_thread,
    train_kind_classifier,
)

STRIKING_AT_LEAST, COVERED_AT_MOST = 0.95, 0.60


def measure(settings: PretrainingSettings) -> dict[Show, float]:
    """Train on whole things and return the accuracy for each way of drawing unseen ones."""
    seed, size = settings.random_seed, settings.image_size
    images, places = draw_single_things(KINDS, settings.images, random_seed=seed, stream=TRAINING_STREAM, size=size)
    scores: dict[Show, float] = {}
    with one_exact_thread():
        classifier = new_kind_classifier(len(KINDS), random_seed=seed)
        load_demo_weights(classifier.trunk)
        train_kind_classifier(classifier, images, places, settings)
        for show in get_args(Show):
            unseen, truth = draw_single_things(
                KINDS, settings.validation_images, random_seed=seed, stream=VALIDATION_STREAM, size=size, show=show
            )
            scores[show] = round(accuracy(classifier, unseen, truth, batch_size=settings.batch_size), 4)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/shapes_world.json"))
    parser.add_argument("--random-seeds", type=int, nargs="+", default=[0, 1, 2], metavar="SEED")
    arguments = parser.parse_args()
    settings = PretrainingSettings(images=1400, validation_images=700)
    runs = {seed: measure(replace(settings, random_seed=seed)) for seed in arguments.random_seeds}
    value = {show: round(fmean(scores[show] for scores in runs.values()), 4) for show in get_args(Show)}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    record = {
        "value": value,
        "by_random_seed": runs,
        "chance": round(1 / len(KINDS), 4),
        "holds": value["striking"] >= STRIKING_AT_LEAST and value["covered"] <= COVERED_AT_MOST,
        "demanded": {"striking": f">= {STRIKING_AT_LEAST}", "covered": f"<= {COVERED_AT_MOST}"},
        "protocol": (
            f"mean over the random seeds of the accuracy over {settings.validation_images} unseen images with one "
            f"thing each, {len(KINDS)} classes in turn; classifier trained on {settings.images} such images drawn "
            "whole, from the demo trunk's weights"
        ),
        "command": f"python benchmarks/shapes_world.py --random-seeds {' '.join(map(str, arguments.random_seeds))}",
        "commit": commit,
        "machine": {"cpu_count": os.cpu_count()},
        "settings": {name: number for name, number in asdict(settings).items() if name != "random_seed"},
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
