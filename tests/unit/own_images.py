"""A folder of made pictures, and a table of their classes and groups."""

import numpy as np
import pandas as pd
from PIL import Image

CLASSES = ("cat", "dog")
GROUPS = ("indoors", "outdoors")


def write_picture(path, seed, size=(40, 30)):
    """A smooth picture that is like no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)


def write_images(folder, per_cell):
    """Write `per_cell` pictures of each class and group to `folder`/photos; return the table, one row for each."""
    rows = []
    for label in CLASSES:
        for group in GROUPS:
            for _ in range(per_cell):
                name = f"{label} {len(rows):03d}.png"
                write_picture(folder / "photos" / name, len(rows))
                rows.append({"image": name, "label": label, "group": group})
    return pd.DataFrame(rows)


def write_table(folder, table, name="labels.csv"):
    """Write a table as the ending of its name says; return its path."""
    path = folder / name
    if name.endswith(".parquet"):
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if name.endswith(".tsv") else ",")
    return path
