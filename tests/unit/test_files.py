"""A file is replaced whole or not at all."""

import errno
import os

import pytest

from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.files import replacing, write_text


def test_a_write_that_fails_leaves_the_earlier_file_whole_and_names_it(tmp_path):
    path = tmp_path / "kept.txt"
    write_text(path, "earlier")

    def fail_halfway():
        with replacing(path) as partial:
            partial.write_text("half of the la")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=r"No space left.*kept\.txt"):
        fail_halfway()
    assert path.read_text() == "earlier"
    assert [p.name for p in tmp_path.iterdir()] == ["kept.txt"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_is_really_full_is_one_line(tmp_path, capsys):
    def main():
        with replacing(tmp_path / "new.txt") as partial:
            partial.symlink_to("/dev/full")
            partial.write_text("x")

    with pytest.raises(SystemExit) as exit_:
        run_script(main)
    assert str(exit_.value) == f"error: [Errno 28] No space left on device: '{tmp_path / 'new.txt'}'"
    assert not (tmp_path / "new.txt").exists()


def test_what_a_user_can_mend_is_one_line():
    def main():
        raise UserError("training: epochs is 0; it must be above 0")

    with pytest.raises(SystemExit, match=r"^error: training: epochs is 0; it must be above 0$"):
        run_script(main)


def test_a_link_stays_and_leads_to_the_new_content(tmp_path):
    (tmp_path / "there").mkdir()
    file, link = tmp_path / "there" / "file.txt", tmp_path / "link.txt"
    file.write_text("earlier")
    link.symlink_to(file)
    write_text(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"


def test_what_is_no_file_is_never_replaced(tmp_path):
    with pytest.raises(UserError, match="is a folder; name a file to write"):
        write_text(tmp_path, "new")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with replacing(pipe) as given:
        assert given == pipe
    assert pipe.is_fifo()
