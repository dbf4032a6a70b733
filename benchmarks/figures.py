"""The two pictures of the docs, drawn from the runs of benchmarks/shapes_ablation.py.

    python benchmarks/figures.py --runs runs/ablation/world1

1. docs/img/localization_maps.png: image, truth, and the maps of base, +SIE, +SSR, +MGA, as the paper's Figure 3.
2. docs/img/sie_phenomenon.png and results/sie_phenomenon.json: how strongly the anchor is activated alone and as half
   of a joint image, before and after training with SIE (paper 4.3, "Phenomenon of SIE").
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from provenance import provenance

from ktse.artifacts import RunDirectory, write_json
from ktse.config import Recipe
from ktse.data.dataset import Dataset
from ktse.data.open import open_dataset
from ktse.data.pairs import pick_pair
from ktse.data.transforms import normalize
from ktse.localization.erasing import join_pairs
from ktse.localization.infer import infer_cams
from ktse.localization.train import load_localizer
from ktse.nets.localizer import Localizer
from ktse.ops.cam import full_size_scores
from ktse.recipes import load_recipe

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = {"base": "base", "+ SIE": "sie", "+ SSR": "sie-ssr", "+ MGA": "all"}
PHENOMENON_ROWS = {"base": "before (base)", "sie": "after SIE", "all": "after the full method"}


def open_row(runs: Path, row: str) -> tuple[Recipe, Dataset, Localizer]:
    """Return recipe, training images and trained network of a row."""
    run = RunDirectory(runs / row)
    recipe = load_recipe(run.recipe)
    dataset = open_dataset(recipe.data, None, recipe.data.train_split)
    return recipe, dataset, load_localizer(recipe, num_classes=dataset.classes.count, run=run)


def draw_maps(runs: Path, path: Path, indices: list[int]) -> None:
    """Draw one line of maps for each image: those of its first class."""
    import matplotlib.pyplot as plt

    opened = {title: open_row(runs, row) for title, row in COLUMNS.items()}
    figure, axes = plt.subplots(len(indices), 2 + len(COLUMNS), figsize=(9, 1.5 * len(indices)), squeeze=False)
    for line, index in zip(axes, indices, strict=True):
        dataset = opened["base"][1]
        image, truth = dataset.image(index), dataset.mask(index)
        shown = int(np.flatnonzero(dataset.tags[index])[0])
        line[0].imshow(image)
        line[1].imshow(truth == shown + 1, cmap="gray")
        for axis, (recipe, _, localizer) in zip(line[2:], opened.values(), strict=True):
            cams = infer_cams(localizer, image[None], dataset.tags[[index]], recipe)[0]
            axis.imshow(image)
            axis.imshow(full_size_scores(cams)[0], cmap="jet", alpha=0.5, vmin=0, vmax=1)
        line[0].set_ylabel(dataset.classes.names[shown], fontsize=8)
    for axis, title in zip(axes[0], ["image", "truth", *COLUMNS], strict=True):
        axis.set_title(title, fontsize=9)
    for axis in axes.ravel():
        axis.set_xticks([])
        axis.set_yticks([])
    figure.tight_layout(pad=0.4)
    figure.savefig(path, dpi=110)
    plt.close(figure)


@torch.inference_mode()
def anchor_activation(recipe: Recipe, dataset: Dataset, localizer: Localizer, count: int) -> tuple[float, float]:
    """Return the mean activation of the anchors' classes, alone and as the upper half of a joint image."""
    alone = joined = 0.0
    for index in range(count):
        partner = pick_pair(dataset.tags, index, np.random.default_rng(index))
        anchor, pair = (_tensor(dataset.image(number), recipe) for number in (index, partner))
        present = torch.from_numpy(dataset.tags[index].copy())
        cam = localizer(anchor).cam[:, present].relu()
        joint = localizer(join_pairs(anchor, pair)).cam[:, present].relu()
        alone += cam.mean().item() / count
        joined += joint[..., : cam.shape[-2], :].mean().item() / count
    return alone, joined


def _tensor(image: np.ndarray, recipe: Recipe) -> torch.Tensor:
    return torch.from_numpy(normalize(image, recipe.data.mean, recipe.data.std).transpose(2, 0, 1)[None].copy())


def draw_phenomenon(runs: Path, path: Path, result: Path, count: int) -> None:
    """Measure the activation of anchors before and after, draw it and write it down."""
    import matplotlib.pyplot as plt

    rows = {}
    for row, title in PHENOMENON_ROWS.items():
        alone, joined = anchor_activation(*open_row(runs, row), count)
        rows[row] = {"title": title, "alone": alone, "joint": joined, "kept, %": 100 * joined / alone}
    write_json(result, {**provenance("sie_phenomenon"), "images": count, "rows": rows})
    figure, axis = plt.subplots(figsize=(5, 2.6))
    positions = np.arange(len(rows))
    axis.bar(positions - 0.2, [100.0] * len(rows), 0.4, label="anchor alone")
    axis.bar(positions + 0.2, [row["kept, %"] for row in rows.values()], 0.4, label="anchor in a joint image")
    axis.set_xticks(positions, [row["title"] for row in rows.values()], fontsize=8)
    axis.set_ylabel("mean activation,\n% of alone", fontsize=8)
    axis.legend(fontsize=8, loc="lower center")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Draw both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/ablation/world1", help="folder of one world's rows")
    parser.add_argument("--images", type=int, nargs="+", default=[1, 6, 8, 9, 14, 19], help="indices of the pictures")
    parser.add_argument("--count", type=int, default=200, help="anchors that the phenomenon is measured on")
    options = parser.parse_args()
    images = ROOT / "docs" / "img"
    images.mkdir(parents=True, exist_ok=True)
    draw_maps(options.runs, images / "localization_maps.png", options.images)
    draw_phenomenon(
        options.runs, images / "sie_phenomenon.png", ROOT / "results" / "sie_phenomenon.json", options.count
    )


if __name__ == "__main__":
    main()
