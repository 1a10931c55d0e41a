"""Without a validation split, data sets are byte for byte those of commit 301c924, which had none.

The published study was made with such data sets. The digests below were computed with the code of that commit, on the
same small archives. The tests of the real archives, in test_data_real.py, compare with the published study itself.
"""

import pandas as pd
import pyarrow as pa
import pytest
from synthetic_archives import accept_cifar, accept_faces, cifar_batches, faces, pack, with_copies

from fairdistill.data.preparing import prepare_dataset
from fairdistill.runtime.files import sha256
from fairdistill.settings.data import AnyDataSet
from fairdistill.settings.reading import read_settings

# settings; sha256 of the data set, of images.npy and of samples.parquet
UNCHANGED = {
    "cifar10s": (
        {"kind": "cifar10s"},
        "fc26268e1b25e3ed30e988798f795345946d2761c970c30b0cc396334a411874",
        "7749ff6eeffdaf29aa0da9dfa568aa084378466b8d161102b636f3d9b64c7ecb",
        "18056cf978d5a9829857b6b35d76a663099308f8459de862aed356718b79d3c4",
    ),
    "utkface": (
        {"kind": "utkface", "image_size": 8, "test_per_cell": 2, "duplicates": "drop"},
        "1dcc5fd07e5603f48dea4191e22e51283f32c059ecbaa158c7aa2d8213d3c776",
        "7e48f5c76167270912b1dbb2c586c4e439ff34fb435dc756551a8978413a67ae",
        "86aae06252a003b3b80d8164b74a10a46de4356abcf9b2f696e3283bf45c93fe",
    ),
    "utkface_duplicates": (
        {"kind": "utkface", "image_size": 8, "test_per_cell": 2, "duplicates": "keep"},
        "b629b3f5ad29c58e0c5953d98aac4654d362f8234c13330ff6225ff47c207659",
        "2286919da7ba1bfb08e7d37bbf8b9c304e3ebd848708642d48f8854c46baad96",
        "47f9fae3c1a6e5ac23fb3c748577f5976a30aad7112fc6cf7499b1070ef35237",
    ),
    "digits_s": (
        {"kind": "digits_s", "image_size": 8},
        "bc406026f04f7b91b86deb4f9eeeb25c4ec82eb91490587cd006cd19fa92743f",
        "67d0088d20e3dd296633495c7344369a157c7c2d1a2e2715196df6581e9ea676",
        "0476624e6b75cd946c2527a5ab18ada4b96cc91e516ce5b9e700891b2de4b4f6",
    ),
}
# their names are part of a Parquet file
WRITERS = ("3.1.1", "26.0.1")


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """A function that makes a data set from settings, in a folder that it returns with the content of dataset.json."""
    batches = cifar_batches()
    accept_cifar(monkeypatch, batches)
    # PNG: the pixels of a JPEG depend on the version of the decoder
    members = with_copies(faces(per_cell=6, encoding="PNG"))
    accept_faces(monkeypatch, members)
    archives = {
        "cifar10s": [pack(tmp_path / "cifar.tar.gz", list(batches.items()))],
        "utkface": [pack(tmp_path / "faces.tar.gz", list(members.items()))],
    }

    def prepare(given):
        settings = read_settings(AnyDataSet, given, where="data")
        return tmp_path / "d", prepare_dataset(tmp_path / "d", settings, archives.get(settings.kind, []))

    return prepare


@pytest.mark.parametrize("name", UNCHANGED)
def test_digest_and_images_are_unchanged(prepare, name):
    settings, digest, images, _ = UNCHANGED[name]
    folder, info = prepare(settings)
    assert info["sha256"] == digest
    assert sha256(folder / "images.npy") == images
    assert list(info["folds"][0]["counts"]) == ["train", "test"]


@pytest.mark.skipif(
    (pd.__version__, pa.__version__) != WRITERS, reason=f"written with pandas and pyarrow {' and '.join(WRITERS)}"
)
@pytest.mark.parametrize("name", UNCHANGED)
def test_samples_file_is_unchanged(prepare, name):
    settings, _, _, samples = UNCHANGED[name]
    folder, _ = prepare(settings)
    assert sha256(folder / "samples.parquet") == samples
