"""A data set of the user's own images: when it is made anew, and paths that are missing."""

import json
import os

from own_images import write_images, write_picture, write_table
from running import TINY, jobs_of, planned, snakemake

CONFIG = ("data={sets: {own: {kind: folder, images: photos, labels: labels.csv, image_size: 8}}}", "datasets=[own]")
MADE = "results/tiny/data/own/dataset.json"


def test_a_data_set_is_made_anew_after_a_change_of_the_users_own_files(workdir, checkout):
    """What is touched is no change, nor is a file beside the images; what is made already does without the files."""
    table = write_images(workdir, 20)
    labels = write_table(workdir, table)
    given = ("--configfile", TINY, "--config", *CONFIG)
    where = {"project": checkout, "directory": workdir}
    done = snakemake(MADE, "--cores", 1, *given, **where)
    assert done.returncode == 0, done.stdout
    for path in (labels, *(workdir / "photos").iterdir()):
        os.utime(path)
    write_table(workdir / "photos", table, "list.csv")
    assert planned(MADE, *given, **where) == {}
    (workdir / "photos").rename(workdir / "moved")
    assert planned(MADE, *given, **where) == {}
    (workdir / "moved").rename(workdir / "photos")
    # as where an image changes between the plan and the job that reads it, and is changed back
    record = json.loads((workdir / MADE).read_text())
    assert len(record["source"]["own_files"]) == 64
    (workdir / MADE).write_text(json.dumps(record | {"source": record["source"] | {"own_files": "0" * 64}}))
    assert planned(MADE, *given, **where) == {"prepare_dataset": 1}
    (workdir / MADE).write_text(json.dumps(record))
    write_picture(workdir / "photos" / table["image"][0], 999)
    changed = snakemake("--dry-run", MADE, *given, **where).stdout
    assert jobs_of(changed) == {"prepare_dataset": 1}
    (line,) = (line for line in changed.splitlines() if line.startswith("data.sets.own has changed"))
    assert line == ("data.sets.own has changed since the last run: images in photos: 0 added, 0 removed, 1 changed")
    other = ("--configfile", TINY, "--config", CONFIG[0].replace("photos", "pictures"), CONFIG[1])
    lost = snakemake("--dry-run", MADE, *other, **where)
    assert lost.returncode == 1
    error = (
        "error: config: data.sets.own: pictures: there is no such file or folder; give the path of one that is there"
    )
    assert error in lost.stdout.splitlines()
    assert (workdir / MADE).exists()


def test_a_folder_and_a_table_in_each_others_place_are_named_by_the_plan(workdir, checkout):
    write_table(workdir, write_images(workdir, 20))
    where = {"project": checkout, "directory": workdir}
    for given, error in [
        ("images: labels.csv, labels: photos", "images is labels.csv, which is a file; give the path of a folder"),
        ("images: photos, labels: photos", "labels is photos, which is a folder; give the path of a file"),
    ]:
        config = (CONFIG[0].replace("images: photos, labels: labels.csv", given), CONFIG[1])
        refused = snakemake("--dry-run", MADE, "--configfile", TINY, "--config", *config, **where)
        assert refused.returncode == 1
        assert f"error: config: data.sets.own.{error}" in refused.stdout.splitlines()
