"""The files of a folder, and a digest of what is in them that is not computed twice."""

import json
import os
import shutil

import pytest

from fairdistill.runtime import folders
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.folders import content_digest, files_in

OLD = 10**18  # nanoseconds: a time long ago


def write(path, content):
    """Write a file that was changed long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(OLD, OLD))


@pytest.fixture
def own(tmp_path):
    for name in ("a.png", "within/b c.png", "within/deep/ä.png"):
        write(tmp_path / "photos" / name, name.encode())
    write(tmp_path / "labels.csv", b"image\n")
    return tmp_path


def digest(own):
    return content_digest([own / "photos", own / "labels.csv"], own / "cache.json")


def test_files_of_all_folders_are_found_less_what_is_hidden(own):
    for name in (".DS_Store", ".hidden/x.png", "Thumbs.db", "._a.png"):
        write(own / "photos" / name, b"")
    write(own / "elsewhere" / "d.png", b"d")
    (own / "photos" / "linked").symlink_to(own / "elsewhere")
    (own / "photos" / "broken").symlink_to(own / "nowhere")
    (own / "photos" / "within" / "again").symlink_to(own / "photos")
    assert sorted(files_in(own / "photos")) == ["a.png", "linked/d.png", "within/b c.png", "within/deep/ä.png"]


def test_a_change_of_names_or_contents_changes_the_digest(own):
    seen = [digest(own)]
    write(own / "photos" / "new.png", b"n")
    seen.append(digest(own))
    (own / "photos" / "new.png").rename(own / "photos" / "newer.png")
    seen.append(digest(own))
    # as many bytes, and of the same time
    write(own / "photos" / "newer.png", b"m")
    seen.append(digest(own))
    write(own / "labels.csv", b"image,label\n")
    seen.append(digest(own))
    assert len(set(seen)) == 5
    (own / "photos" / "newer.png").unlink()
    write(own / "labels.csv", b"image\n")
    assert digest(own) == seen[0]


def test_touched_and_moved_files_are_the_same(own, tmp_path):
    before = digest(own)
    os.utime(own / "photos" / "a.png")
    assert digest(own) == before
    shutil.copytree(own / "photos", own / "copies" / "photos")
    shutil.copy(own / "labels.csv", own / "copies")
    assert content_digest([own / "copies/photos", own / "copies/labels.csv"], own / "other.json") == before


def test_files_are_read_once(own, monkeypatch):
    read = []
    compute = folders.sha256
    monkeypatch.setattr(folders, "SETTLED", 0)
    monkeypatch.setattr(folders, "sha256", lambda path: read.append(os.path.basename(path)) or compute(path))
    before = digest(own)
    assert len(read) == 4
    assert digest(own) == before
    assert len(read) == 4
    write(own / "photos" / "a.png", b"other")
    assert digest(own) != before
    assert read[4:] == ["a.png"]


def test_a_file_that_may_still_change_is_read_again(own):
    """Two changes within one tick of the clock leave the same times."""
    digest(own)
    assert json.loads((own / "cache.json").read_text())["files"] == {}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": '])
def test_a_damaged_cache_is_made_anew(own, content):
    before = digest(own)
    (own / "cache.json").write_bytes(content)
    assert digest(own) == before


def test_what_was_made_of_missing_files_does_without_them(own):
    before = digest(own)
    (own / "labels.csv").rename(own / "moved.csv")
    assert digest(own) == before
    with pytest.raises(UserError, match="gone: there is no such file or folder"):
        content_digest([own / "photos", own / "gone"], own / "cache.json")


def test_what_cannot_be_is_one_line(own, monkeypatch):
    with pytest.raises(UserError, match="nowhere: there is no such file or folder"):
        content_digest([own / "nowhere"], own / "cache.json")
    monkeypatch.chdir(own / "photos" / "within")
    with pytest.raises(UserError, match="photos: holds the working directory, which each run changes; put the images"):
        digest(own)
