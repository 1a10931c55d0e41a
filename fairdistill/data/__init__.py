"""The data sets, behind one interface: settings and an archive become images with a class and a group.

Each kind is a module with

- `ARCHIVE`, the file name of the archive it is made from (None: nothing to download);
- `prepare(archive, *, ...) -> Prepared`, whose keyword arguments are the kind's settings;
- and, where there is an archive, `URLS`, the public addresses that hold it, and
  `verified_members(archive)`, its content, once the checksums are right.

`fairdistill.data.preparing` makes a data set of a kind and writes it to a folder; `fairdistill.data.reading` reads
it there. The folder holds `images.npy`, uint8 (N, H, W, 3); `samples.parquet`, one row per image in the same order;
and `dataset.json`, which describes both.

Training imports the reading alone: how data are made is no part of the version of its code. To add a kind, write a
module here, name it below, and describe its settings in the config schema.
"""

from fairdistill.data.reading import ImageDataset, load_dataset

__all__ = ["KINDS", "ImageDataset", "load_dataset"]

KINDS = {
    "cifar10s": "fairdistill.data.cifar10s",
    "utkface": "fairdistill.data.utkface",
    "digits_s": "fairdistill.data.digits_s",
}
