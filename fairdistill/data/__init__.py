"""The data sets: settings and an archive become images, each with a class and a group.

A prepared data set is a folder with `images.npy`, uint8 (N, H, W, 3); `samples.parquet`, one row per image in the same
order, with its split, class and group; and `dataset.json`, which describes both. `fairdistill.data.preparing` writes
the folder and draws the validation split, `fairdistill.data.reading` reads the folder, and `fairdistill.data.download`
gets the archives. Training imports `reading` and not `preparing`, so that a change of how data sets are made does not
change the version of the training code.

To add a kind of data set, write one settings class and one module:

1. In `fairdistill/settings/data.py`, a subclass of `DataSet` with the settings of the kind, the name of the module as
   `implementation`, and the file name of the archive as `archive` (None where nothing has to be downloaded). Add the
   class to the union `AnyDataSet`.
2. The module, with `prepare(settings, archive) -> fairdistill.data.preparing.Prepared`: `settings` is an instance of
   that class, already checked, and `archive` the path of the downloaded file (None where there is none). It assigns
   each image to the split "train" or "test"; the validation split is drawn from its training images afterwards.
   Where there is an archive, the module also has `URLS`, the public addresses of the archive in the order in which
   they are tried, and `verified_members(archive)`, which returns the archive's files by name and raises an
   `ArchiveError` unless their checksums are those of the published archive.

The workflow needs no new rule: downloading and preparing find the module through the settings class.
"""

from fairdistill.data.reading import ImageDataset, load_dataset

__all__ = ["ImageDataset", "load_dataset"]
