# What the user's own files hold: images and tables that data sets are made from, and weights that models start from. Where
# it changes, what was made of them is made anew. Times alone do not tell: a file that takes the place of another, as by
# `mv` or `rsync -a`, may be the older one.
import functools
import os.path
import sys
from pathlib import Path

from fairdistill.runtime.errors import UserError, refusal
from fairdistill.runtime.own_files import (
    cache_of_content,
    changes_since,
    content_of,
    images_named_in,
    note_content,
)

# By the file in which the next plan finds what has changed since.
OWN_CONTENT = {}


@functools.cache
def content_of_own_files(dataset):
    """The content of the user's own files that a data set is made from; None where it is made from none."""
    settings = STUDY.data.sets[dataset]
    if not settings.own_files:
        return None
    named = images_named_in(*settings.own_table) if settings.own_table else None
    return content_of_files(f"data.sets.{dataset}", tuple(settings.own_files), named)


def digest_of_own_files(dataset):
    """A digest of `content_of_own_files`; None where there are none, or one is not there."""
    if not all(map(os.path.exists, STUDY.data.sets[dataset].own_files)):
        return None
    content = content_of_own_files(dataset)
    return content and content.digest


def digest_of_weights(file):
    """The SHA-256 of a file of weights that the configuration names; None where it is not there."""
    if not os.path.isfile(file):
        return None
    return content_of_files(next(key for key, path in STUDY.files.items() if path == file), (file,)).files[
        "0"
    ]


@functools.cache
def content_of_files(key, paths, named=None):
    """The content of files and folders that the configuration names under `key`; `named` as for `content_of`.

    Says what has changed in them since the last run, as Snakemake's reason to do a job anew has only digests.
    """
    files = [Path(path) for path in paths]
    cache = cache_of_content(paths)
    note = cache.with_name(f"{STUDY.study}.{cache.name}")
    try:
        content = content_of(files, cache, named)
        if changes := changes_since(note, content, files):
            print(f"{key} has changed since the last run: {changes}", file=sys.stderr)
    except (UserError, OSError) as error:
        sys.exit(f"error: config: {key}: {refusal(error)}")
    OWN_CONTENT[note] = content
    return content
