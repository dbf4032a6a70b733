"""A folder of images and tags to try the commands on: python examples/make_folder.py FOLDER [IMAGES]

python examples/make_folder.py photos
ktse data check photos
ktse run folder/cpu --data photos --out runs/photos
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from PIL import Image

import ktse
from ktse.data.image_io import write_label_map


def write_folder(root: Path, *, images: int = 200) -> None:
    """Write drawn images as somebody's own: images/, train.csv, val.csv, and masks with classes.txt for scores."""
    root.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", images), ("val", max(1, images // 4))):
        data = ktse.Shapes(split, count=count, size=128)
        (root / "classes.txt").write_text("\n".join(data.classes.names) + "\n")
        with (root / f"{split}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["image", "tags"])
            for index, id_ in enumerate(data.ids):
                sample = data.sample(index, with_mask=True)
                path = root / "images" / f"{id_}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(sample.image).save(path)
                if sample.mask is not None:
                    write_label_map(root / "masks" / f"{id_}.png", sample.mask)
                names = [name for name, tagged in zip(data.classes.names, sample.tags, strict=True) if tagged]
                table.writerow([f"{id_}.png", ";".join(names)])


if __name__ == "__main__":
    write_folder(Path(sys.argv[1]), images=int(sys.argv[2]) if len(sys.argv) > 2 else 200)
