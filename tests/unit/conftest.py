"""A tiny data set that is learnt in a few steps."""

import numpy as np
import pandas as pd
import pytest

from fairdistill.data import load_dataset
from fairdistill.data.preparing import Prepared, write_dataset


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """96 training and 24 test images of 8 px: three classes told by brightness, two groups by colour."""
    rng = np.random.default_rng(0)
    n = 120
    label, group = np.arange(n) % 3, np.arange(n) // 3 % 2
    images = rng.integers(0, 60, (n, 8, 8, 3)) + 60 * label[:, None, None, None]
    images[..., 0] += 30 * group[:, None, None]
    samples = pd.DataFrame(
        {
            "image_id": [f"image{i}" for i in range(n)],
            "split": np.where(np.arange(n) < 96, "train", "test"),
            "label": label,
            "group": group,
        }
    )
    folder = tmp_path_factory.mktemp("data") / "tiny"
    prepared = Prepared(samples, images.astype(np.uint8), 8, ["a", "b", "c"], ["g", "h"], {"rng": "0"})
    write_dataset(folder, prepared, {"kind": "tiny"})
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    return load_dataset(tiny_folder)
