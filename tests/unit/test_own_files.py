"""A digest of the user's own files that is not computed twice, and what has changed in them."""

import json
import os
import shutil

import pytest

from fairdistill.runtime import own_files
from fairdistill.runtime.csv_table import read_csv
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.own_files import changes_since, content_of, note_content

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
    write(tmp_path / "labels.csv", b"image\na.png\n")
    return tmp_path


def content(own):
    table = own / "labels.csv"
    return content_of(
        [own / "photos", table],
        own / "cache.json",
        lambda: [row.values[0] for row in read_csv(table, {"image": "image"})],
    )


def digest(own):
    return content(own).digest


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
    write(own / "labels.csv", b"image\na.png\n")
    assert digest(own) == seen[0]


def test_touched_and_moved_files_are_the_same(own, tmp_path):
    before = digest(own)
    os.utime(own / "photos" / "a.png")
    assert digest(own) == before
    shutil.copytree(own / "photos", own / "copies" / "photos")
    shutil.copy(own / "labels.csv", own / "copies")
    assert content_of([own / "copies/photos", own / "copies/labels.csv"], own / "other.json").digest == before


def test_files_are_read_once(own, monkeypatch):
    # a name that is no UTF-8
    (own / "photos" / "a.png").rename(own / "photos" / os.fsdecode(b"\xe4.png"))
    read = []
    compute = own_files.sha256
    monkeypatch.setattr(own_files, "SETTLED", 0)
    monkeypatch.setattr(own_files, "sha256", lambda path: read.append(os.path.basename(path)) or compute(path))
    before = digest(own)
    assert len(read) == 4
    assert digest(own) == before
    assert len(read) == 4
    write(own / "photos" / "b.png", b"other")
    assert digest(own) != before
    assert read[4:] == ["b.png"]


def test_a_file_that_may_still_change_is_read_again(own):
    """Two changes within one tick of the clock leave the same times."""
    digest(own)
    assert json.loads((own / "cache.json").read_text())["files"] == {}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": ', b"\xff"])
def test_a_damaged_cache_is_made_anew(own, content):
    before = digest(own)
    (own / "cache.json").write_bytes(content)
    assert digest(own) == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda known: {"files": []},
        lambda known: {"digest": 7},
        *(
            lambda known, entry=entry: {"files": dict.fromkeys(known["files"], entry)}
            for entry in (None, {}, [], [1, 2, 3], "text")
        ),
        lambda known: {"files": {path: entry[:3] for path, entry in known["files"].items()}},
        lambda known: {"files": {path: [*entry[:3], None] for path, entry in known["files"].items()}},
    ],
)
def test_so_is_one_that_is_json_of_another_form(own, monkeypatch, damage):
    monkeypatch.setattr(own_files, "SETTLED", 0)
    before = digest(own)
    cache = own / "cache.json"
    known = json.loads(cache.read_text())
    cache.write_text(json.dumps(known | damage(known)))
    assert digest(own) == before
    assert json.loads(cache.read_text()) == known


@pytest.mark.parametrize("note", ["[]", '"ab"', '["a", []]', '["a", {"0": 1}]', "{}"])
def test_a_damaged_note_says_of_no_change(own, note):
    (own / "note.json").write_text(note)
    assert changes_since(own / "note.json", content(own), [own / "photos", own / "labels.csv"]) == ""


def test_what_was_made_of_missing_files_does_without_them(own):
    before = digest(own)
    (own / "labels.csv").rename(own / "moved.csv")
    assert digest(own) == before
    with pytest.raises(UserError, match="gone: there is no such file or folder"):
        content_of([own / "photos", own / "gone"], own / "cache.json")


def test_what_cannot_be_is_one_line(own, monkeypatch):
    # the system refuses to look at the second, as it does where a folder may not be entered
    for name in ("nowhere", "x" * 300):
        with pytest.raises(UserError, match=f"{name}: there is no such file or folder"):
            content_of([own / name], own / "cache.json")
    monkeypatch.chdir(own / "photos" / "within")
    with pytest.raises(UserError, match="photos: holds the working directory, which each run changes; put the images"):
        digest(own)


def test_other_files_in_the_folder_count_where_the_table_names_them(own):
    before = digest(own)
    for name in ("labels.csv", "list.xlsx", "within/notes.txt", "scan.dat", "README"):
        write(own / "photos" / name, b"1")
    assert digest(own) == before
    write(own / "labels.csv", b"image\nwithin\\scan.dat\n")
    named = digest(own)
    assert named != before
    write(own / "photos" / "scan.dat", b"2")
    changed = digest(own)
    assert changed != named
    write(own / "photos" / "README", b"2")
    assert digest(own) == changed


def test_where_a_table_cannot_be_looked_into_all_files_count(own):
    write(own / "labels.csv", b"name\n")
    before = digest(own)
    write(own / "photos" / "scan.dat", b"1")
    assert digest(own) != before


def test_what_has_changed_since_it_was_noted_is_said_in_numbers(own):
    note, paths = own / "note.json", [own / "photos", own / "labels.csv"]
    assert changes_since(note, content(own), paths) == ""
    note_content(note, content(own))
    os.utime(own / "photos" / "a.png")
    assert changes_since(note, content(own), paths) == ""
    write(own / "photos" / "a.png", b"other")
    for name in ("c.png", "d.png"):
        write(own / "photos" / name, b"new")
    (own / "photos" / "within" / "b c.png").unlink()
    found = f"images in {own / 'photos'}: 2 added, 1 removed, 1 changed"
    assert changes_since(note, content(own), paths) == found
    write(own / "labels.csv", b"image\nd.png\n")
    assert changes_since(note, content(own), paths) == f"{found}; {own / 'labels.csv'} has other content"
    # away: what was made of them does without
    (own / "photos").rename(own / "moved")
    assert changes_since(note, content(own), paths) == ""
    note_content(note, content(own))
    (own / "moved").rename(own / "photos")
    assert changes_since(note, content(own), paths) != ""
