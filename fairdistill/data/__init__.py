"""The data sets: settings and archives become images, each with a class and a group.

A prepared data set is a folder with `images.npy`, uint8 (N, H, W, 3); `samples.parquet`, one row per image in the same
order, with its split, class and group; and `dataset.json`, which describes both. `fairdistill.data.preparing` writes
the folder and draws the validation split, `fairdistill.data.reading` reads the folder, and `fairdistill.data.download`
gets the archives. Training imports `reading` and not `preparing`, so that a change of how data sets are made does not
change the version of the training code.

To add a kind of data set, write one settings class and one module:

1. In `fairdistill/settings/data.py`, a subclass of `DataSet` with the settings of the kind, the name of the module as
   `implementation`, and the file names of its archives as `archives` (none where nothing has to be downloaded). Add
   the class to the union `AnyDataSet`.
2. The module, with `prepare(settings, *archives) -> fairdistill.data.preparing.Prepared`: `settings` is an instance of
   that class, already checked, and a parameter for each archive takes its path, in the order of `archives`. (A kind
   that is made from the user's own files names the settings with their paths as `settings_of_paths`, and those that are
   folders as `settings_of_folders`, too; these take the place of archives, and Snakemake compares their contents.) It
   assigns each image to the split "train" or "test"; the validation split is drawn from its training images afterwards,
   unless one is published with the images.
   Where there are archives, the module also has `ARCHIVES`, a `fairdistill.data.archives.Published` for each of them by
   name: where it is to be had, and a function that refuses what is not the published file.

The workflow needs no new rule: downloading and preparing find the module through the settings class.
"""

from fairdistill.data.reading import ImageDataset, load_dataset

__all__ = ["ImageDataset", "load_dataset"]
