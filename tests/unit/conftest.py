"""A tiny data set that is learnt in a few steps, without and with a validation split."""

import json

import numpy as np
import pandas as pd
import pytest

from fairdistill.data import load_dataset
from fairdistill.data.preparing import Prepared, write_dataset
from fairdistill.data.reading import DESCRIPTION, description_digest


def write_tiny(folder, *, validation, size=8):
    """120 square images: three classes told by brightness, two groups by colour; the last 24 are the test split.

    The `validation` images before those are the validation split, and all others are for training.
    """
    rng = np.random.default_rng(0)
    n = 120
    label, group = np.arange(n) % 3, np.arange(n) // 3 % 2
    images = rng.integers(0, 60, (n, size, size, 3)) + 60 * label[:, None, None, None]
    images[..., 0] += 30 * group[:, None, None]
    sizes = {"train": 96 - validation, "validation": validation, "test": 24}
    samples = pd.DataFrame(
        {
            "image_id": [f"image{i}" for i in range(n)],
            "split": np.repeat(list(sizes), list(sizes.values())),
            "label": label,
            "group": group,
        }
    )
    prepared = Prepared(samples, images.astype(np.uint8), size, ["a", "b", "c"], ["g", "h"], {"rng": "0"})
    write_dataset(folder, prepared, {"kind": "tiny"})
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """96 training images and 24 test images."""
    return write_tiny(tmp_path_factory.mktemp("data") / "tiny", validation=0)


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    return load_dataset(tiny_folder)


@pytest.fixture(scope="session")
def tiny_with_validation_folder(tmp_path_factory):
    """72 training images, 24 validation images and the same 24 test images."""
    return write_tiny(tmp_path_factory.mktemp("validation") / "tiny", validation=24)


@pytest.fixture(scope="session")
def tiny_with_validation(tiny_with_validation_folder):
    return load_dataset(tiny_with_validation_folder)


@pytest.fixture(scope="session")
def cropped_folder(tmp_path_factory):
    """Such a data set of 10 px, of which networks see 8."""
    folder = write_tiny(tmp_path_factory.mktemp("cropped") / "tiny", validation=0, size=10)
    info = json.loads((folder / "dataset.json").read_text()) | {"crop": 8}
    (folder / "dataset.json").write_text(json.dumps(info | {DESCRIPTION: description_digest(info)}))
    return folder


@pytest.fixture(scope="module")
def rough_intervals():
    """Intervals over trainings from fewer draws, for tests of where the ends stand and not of what they are."""
    from fairdistill.evaluation.crossed import Trainings

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Trainings.__init__.__kwdefaults__, "draws", 200)
        yield


# An export takes seconds, of which most are torch's: the tests of exports share two.


@pytest.fixture(scope="session")
def trained(tiny_folder, tmp_path_factory):
    """The folder of a model."""
    from exported_models import train

    return train(tiny_folder, tmp_path_factory.mktemp("trained") / "erm" / "seed0", {"kind": "erm"})


@pytest.fixture(scope="session")
def exported(tiny_folder, trained, tmp_path_factory):
    """The same, exported over an earlier model and its card."""
    from exported_models import export

    folder = tmp_path_factory.mktemp("exported") / "erm"
    folder.mkdir()
    for name in ("export.json", "README.md"):
        (folder / name).write_text("of an earlier model")
    return export(tiny_folder, trained, folder)


@pytest.fixture(scope="session")
def exported_of_group(cropped_folder, tmp_path_factory):
    """A model that needs the group and sees cropped images, exported from a checkpoint that says neither."""
    from exported_models import export, forget_facts, train

    folder = tmp_path_factory.mktemp("of_group")
    model = train(cropped_folder, folder / "model", {"kind": "domain_independent", "inference": "own_group"})
    forget_facts(model)
    return export(cropped_folder, model, folder / "exported")
