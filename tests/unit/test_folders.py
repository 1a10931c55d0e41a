"""The files of a folder."""

from PIL import Image

from fairdistill.runtime.folders import PICTURES, files_in
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


def test_pictures_end_as_pillow_has_it():
    """Of what Pillow lacks here, such as AVIF, the endings are known all the same."""
    registered = {ending for ending, name in Image.registered_extensions().items() if name in FORMATS}
    assert registered <= PICTURES
