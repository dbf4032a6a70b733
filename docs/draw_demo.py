"""The picture of the README, from a finished demo.

    python docs/draw_demo.py runs/demo

Columns: image, true mask, class activation maps, pseudo mask, and what the segmenter says without tags.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import ktse
from ktse.artifacts import RunDirectory, read_cams
from ktse.data.image_io import read_label_map
from ktse.data.longest_side import nearest
from ktse.data.open import open_dataset
from ktse.report.figures import Picture, class_colours, fit_image, fit_scores, heat_overlay, mask_overlay
from ktse.segmentation.segmenter import Segmenter

SIDE, GAP, HEADING = 180, 6, 26
COLUMNS = ("image", "truth (never seen)", "activation map", "pseudo mask", "segmenter, no tags")
PICTURE = Path(__file__).parent / "img" / "demo.png"


def panels(run: RunDirectory, dataset: ktse.Shapes, model: Segmenter, index: int) -> list[Picture]:
    """Return the pictures of one image in the order of the columns."""
    id_, full = dataset.ids[index], dataset.image(index)
    image, colours = fit_image(full, SIDE), class_colours(dataset.classes.count)
    cams = read_cams(run.cams(id_))
    masks = [dataset.mask(index), read_label_map(run.mask(id_)), model.predict(full)]
    size = (image.shape[0], image.shape[1])
    truth, pseudo, predicted = (mask_overlay(image, nearest(mask, size), colours) for mask in masks)
    return [image, truth, heat_overlay(image, fit_scores(cams.scores.max(0), size)), pseudo, predicted]


def draw(root: Path, indices: list[int]) -> None:
    """Draw one line for each image."""
    run = RunDirectory(root)
    settings = ktse.load_recipe(run.recipe).data
    dataset, model = open_dataset(settings, None, settings.train_split), ktse.load(root)
    step = SIDE + GAP
    sheet = Image.new("RGB", (step * len(COLUMNS) - GAP, HEADING + step * len(indices) - GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for column, title in enumerate(COLUMNS):
        pen.text((column * step + SIDE / 2, HEADING / 2), title, fill="black", font=font, anchor="mm")
    for line, index in enumerate(indices):
        for column, picture in enumerate(panels(run, dataset, model, index)):
            sheet.paste(Image.fromarray(np.ascontiguousarray(picture)), (column * step, HEADING + line * step))
    PICTURE.parent.mkdir(exist_ok=True)
    sheet.quantize(256).save(PICTURE, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", default=Path("runs/demo"))
    parser.add_argument("--images", type=int, nargs="+", default=[3, 8, 21, 40])
    options = parser.parse_args()
    draw(options.run, options.images)
