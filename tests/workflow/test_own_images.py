"""A data set of the user's own images: when it is made anew, and paths that are missing."""

import os

from own_images import write_images, write_picture, write_table
from running import TINY, planned, snakemake

CONFIG = ("data={sets: {own: {kind: folder, images: photos, labels: labels.csv, image_size: 8}}}", "datasets=[own]")
MADE = "results/tiny/data/own/dataset.json"


def test_images_are_seen_when_they_change_and_not_when_they_are_touched(workdir, checkout):
    table = write_images(workdir, 20)
    labels = write_table(workdir, table)
    given = ("--configfile", TINY, "--config", *CONFIG)
    where = {"project": checkout, "directory": workdir}
    done = snakemake(MADE, "--cores", 1, *given, **where)
    assert done.returncode == 0, done.stdout
    for path in (labels, *(workdir / "photos").iterdir()):
        os.utime(path)
    assert planned(MADE, *given, **where) == {}
    write_picture(workdir / "photos" / table["image"][0], 999)
    assert planned(MADE, *given, **where) == {"prepare_dataset": 1}
    (workdir / "photos").rename(workdir / "moved")
    lost = snakemake("--dry-run", MADE, *given, **where)
    assert lost.returncode == 1
    error = "error: config: data.sets.own: photos: there is no such file or folder; give the path of one that is there"
    assert error in lost.stdout.splitlines()
    assert (workdir / MADE).exists()
