"""The files of a folder."""

import pytest
from PIL import Image

from fairdistill.runtime.folders import PICTURES, files_in, finder
from fairdistill.runtime.pictures import FORMATS


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def test_files_of_all_folders_are_found_less_what_is_hidden(tmp_path):
    names = ("a.png", "within/b c.png", "within/deep/ä.png", ".DS_Store", ".hidden/x.png", "Thumbs.db", "._a.png")
    for name in names:
        write(tmp_path / "photos" / name)
    write(tmp_path / "elsewhere" / "d.png")
    (tmp_path / "photos" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "photos" / "within" / "again").symlink_to(tmp_path / "photos")
    assert sorted(files_in(tmp_path / "photos")) == ["a.png", "linked/d.png", "within/b c.png", "within/deep/ä.png"]


def test_folders_that_are_linked_to_each_other_are_visited_once(tmp_path):
    """By their own names, though the names of links to them come first; of two links the first."""
    for number in range(9):
        write(tmp_path / "photos" / f"p{number}" / "x.png")
        for other in range(9):
            (tmp_path / "photos" / f"p{number}" / f"a{other}").symlink_to(tmp_path / "photos" / f"p{other}")
    write(tmp_path / "elsewhere" / "within" / "d.png")
    for name in ("b", "a", "p3/a"):
        (tmp_path / "photos" / name).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "itself").symlink_to("itself")
    wanted = ["a/within/d.png", *(f"p{number}/x.png" for number in range(9))]
    assert sorted(files_in(tmp_path / "photos")) == wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("photos/within/a.png", None),
        ("{}/photos/within/a.png", "within/a.png"),
        ("{}/way/photos/within/a", "within/a.png"),
        ("{}/link/within/a.png", "within/a.png"),
        ("{}/link/e\u0301.png", "\u00e9.png"),
        ("{}/link/gone.png", None),
        ("{}/link/gone/a.png", None),
        ("{}/elsewhere/d.png", "first/d.png"),
        ("second/d.png", "first/d.png"),
        ("second\\d", "first/d.png"),
        ("again/a.png", "within/a.png"),
        ("../link/within/a.png", "within/a.png"),
        ("{}/outside.png", ""),
        ("second/../outside.png", ""),
        ("..", ""),
        (".", None),
        ("second/\0.png", None),
    ],
)
@pytest.mark.parametrize("given", ["photos", "link"])
def test_a_path_may_lead_into_the_folder_by_another_way(tmp_path, path, wanted, given):
    """Where the folder is a link or is reached through one, and where a folder in it has several names."""
    for name in ("photos/within/a.png", "photos/\u00e9.png", "elsewhere/d.png", "outside.png"):
        write(tmp_path / name)
    for name, to in {"link": "photos", "way": ".", "photos/first": "elsewhere", "photos/second": "elsewhere"}.items():
        (tmp_path / name).symlink_to(tmp_path / to)
    (tmp_path / "photos" / "again").symlink_to("within")
    find = finder(tmp_path / given, list(files_in(tmp_path / given)))
    assert find(path.format(tmp_path)) == wanted


def test_pictures_end_as_pillow_has_it():
    """Of what Pillow lacks here, such as AVIF, the endings are known all the same."""
    registered = {ending for ending, name in Image.registered_extensions().items() if name in FORMATS}
    assert registered <= PICTURES
