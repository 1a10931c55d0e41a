# What the user's own files hold: images and tables that data sets are made from, and weights that models start from. Where
# it changes, what was made of them is made anew. Times alone do not tell: a file that takes the place of another, as by
# `mv` or `rsync -a`, may be the older one.
import functools
import os.path
import sys
from pathlib import Path

from fairdistill.runtime.errors import UserError, refusal
from fairdistill.runtime.own_files import (
    UNREADABLE,
    cache_of_content,
    changes_since,
    content_of,
    images_named_in,
    note_content,
)
from fairdistill.runtime.parallel import threads_of_machine

# Of the planned jobs, by the file in which the next plan finds what has changed since.
OWN_CONTENT = {}


def planned_content_of_own_files(dataset):
    """The content of the user's own files that a data set is planned to be made from; None where there are none."""
    settings = STUDY.data.sets[dataset]
    if not settings.own_files:
        return None
    for name in settings.settings_of_paths:
        path = getattr(settings, name)
        is_of_folder = name in settings.settings_of_folders
        # one that is missing is named with the others below
        if path and os.path.exists(path) and os.path.isdir(path) != is_of_folder:
            found, wanted = ("a file", "a folder") if is_of_folder else ("a folder", "a file")
            sys.exit(
                f"error: config: data.sets.{dataset}.{name} is {path}, which is {found}; give the path of {wanted}"
            )
    return planned_content(f"data.sets.{dataset}", tuple(settings.own_files), settings.own_table)


@functools.cache
def planned_content(key, paths, table=None):
    """The content of files and folders that the configuration names under `key`, for a job that is planned.

    Says what has changed in them since the last run, as Snakemake's reason to do a job anew has only digests.
    """
    cache = cache_of_content(key, paths)
    note = cache.with_name(f"{STUDY.study}.{cache.name}")
    try:
        content = content_of_files(key, paths, table)
        if changes := changes_since(note, content, list(map(Path, paths))):
            print(f"{key} has changed since the last run: {changes}", file=sys.stderr)
    except (UserError, OSError) as error:
        sys.exit(f"error: config: {key}: {refusal(error)}")
    OWN_CONTENT[note] = content
    return content


@functools.cache
def content_of_files(key, paths, table=None):
    """The same, whatever is planned; `table` has the path of the table that names the images, and its column."""
    named = images_named_in(*table) if table else None
    cache = cache_of_content(key, paths)
    return content_of(list(map(Path, paths)), cache, named, threads=threads_of_machine())


def digest_of_own_files(dataset):
    """A digest of the user's own files that a data set is made from; None where there are none, or none can be had."""
    settings = STUDY.data.sets[dataset]
    if not settings.own_files or not all(map(os.path.exists, settings.own_files)):
        return None
    try:
        return content_of_files(f"data.sets.{dataset}", tuple(settings.own_files), settings.own_table).digest
    except (UserError, OSError):
        return None


def digest_of_weights(file):
    """The SHA-256 of a file of weights that the configuration names; None where it cannot be had."""
    if not os.path.isfile(file):
        return None
    try:
        digest = content_of_files(key_of_weights(file), (file,)).files.get("0", UNREADABLE)
    except (UserError, OSError):
        return None
    return None if digest == UNREADABLE else digest


def key_of_weights(file):
    """What names a file of weights in the configuration."""
    return next(key for key, path in STUDY.files.items() if path == file)
