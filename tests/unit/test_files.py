"""A file is replaced whole or not at all."""

import errno
import json
import os
import threading

import pytest

from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.files import no_folders, parse_json, replacing, replacing_together, write_text


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


def test_files_of_one_record_are_replaced_with_it_and_what_was_made_of_the_earlier_ones_goes(tmp_path):
    for name in ("a.txt", "record.json", "card.md"):
        write_text(tmp_path / name, "earlier")

    def replace(*, fail):
        with replacing_together(tmp_path, ["a.txt"], "record.json", outdated=["card.md"]) as partial:
            for path in partial.values():
                path.write_text("later")
            if fail:
                raise UserError("no")

    with pytest.raises(UserError):
        replace(fail=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        ("a.txt", "record.json", "card.md"), "earlier"
    )
    replace(fail=False)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        ("a.txt", "record.json"), "later"
    )
    # without a record it is nobody's card
    (tmp_path / "record.json").unlink()
    write_text(tmp_path / "card.md", "mine")
    replace(fail=False)
    assert (tmp_path / "card.md").read_text() == "mine"


def test_where_no_file_can_be_made_the_name_is_the_users(tmp_path):
    def main():
        with replacing(tmp_path / "new.txt") as partial:
            # as where the folder, such as /proc, takes no files
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(partial))

    with pytest.raises(SystemExit) as exit_:
        run_script(main)
    path = tmp_path / "new.txt"
    assert str(exit_.value).startswith(f"error: {path}: No such file or directory")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_is_really_full_is_one_line(tmp_path, capsys):
    def main():
        with replacing(tmp_path / "new.txt") as partial:
            partial.symlink_to("/dev/full")
            partial.write_text("x")

    with pytest.raises(SystemExit) as exit_:
        run_script(main)
    path = tmp_path / "new.txt"
    assert str(exit_.value) == f"error: {path}: No space left on device; make room, and give the same command again"
    assert not (tmp_path / "new.txt").exists()


@pytest.mark.parametrize(
    ("begin", "said"),
    [
        (
            lambda folder: (folder / "none").read_bytes(),
            "none: No such file or directory; give the path of one that is there",
        ),
        (lambda folder: folder.read_bytes(), ": Is a directory; it is a folder; give the path of a file"),
        (lambda folder: os.mkdir(folder), ": File exists"),
    ],
)
def test_what_the_system_refuses_is_one_line(tmp_path, begin, said):
    with pytest.raises(SystemExit) as exit_:
        run_script(lambda: begin(tmp_path))
    assert str(exit_.value).startswith(f"error: {tmp_path}")
    assert str(exit_.value).endswith(said)


def test_a_file_in_the_place_of_a_folder_is_found(tmp_path):
    file, link, long = tmp_path / "file", tmp_path / "link", tmp_path / "long"
    file.touch()
    link.symlink_to(tmp_path / "nowhere")
    # the system refuses to look there, as it does where a folder may not be entered
    long.symlink_to("x" * 300)
    below = [tmp_path / "folder", file / "a" / "b", link / "c", tmp_path / "missing", long]
    below[0].mkdir()
    assert no_folders(*below) == [file, link, long]


def test_what_a_user_can_mend_is_one_line():
    def main():
        raise UserError("training: epochs is 0; it must be above 0")

    with pytest.raises(SystemExit, match=r"^error: training: epochs is 0; it must be above 0$"):
        run_script(main)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (
            MemoryError(),
            "error: the main memory is full; let fewer jobs run at a time, or take a machine with more",
            "",
        ),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"),
            "error: the main memory is full; let fewer jobs run at a time, or take a machine with more",
            "",
        ),
    ],
)
def test_ctrl_c_and_full_memory_end_without_a_traceback(error, status, said, capsys):
    def main():
        raise error

    with pytest.raises(SystemExit) as end:
        run_script(main)
    assert (end.value.code, capsys.readouterr().err) == (status, said)


def test_a_fault_of_this_project_keeps_its_traceback():
    def main():
        raise RuntimeError("of another kind")

    with pytest.raises(RuntimeError, match="of another kind"):
        run_script(main)


def test_a_link_stays_a_link_and_the_file_that_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    for name in ("there.txt", "to come.txt"):
        target, link = tmp_path / "folder" / name, tmp_path / f"link to {name}"
        link.symlink_to(target)
        if name == "there.txt":
            target.write_text("earlier")
        write_text(link, "new")
        assert link.is_symlink()
        assert target.read_text() == "new"
    assert len(list((tmp_path / "folder").iterdir())) == 2


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_written_to_and_never_replaced(tmp_path, linked):
    pipe = path = tmp_path / "pipe"
    os.mkfifo(pipe)
    if linked:
        path = tmp_path / "link"
        path.symlink_to(pipe)
    read = []
    # without a reader, the write would wait for ever; a reader that gets nothing would, too
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    write_text(path, "new")
    reader.join(timeout=10)
    assert read == ["new"]
    assert pipe.is_fifo()


def test_a_folder_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match=r"is a folder; name a file"), replacing(tmp_path):
        raise AssertionError("has begun")


def test_an_error_is_one_line_whatever_a_name_has_in_it():
    def main():
        # what turns the direction of writing would show another ending; joiners are part of words
        raise UserError("a\nb\x1b\udcff ü\u202f\u200d\u202egnp.exe: there is no such file")

    with pytest.raises(SystemExit) as exit_:
        run_script(main)
    assert str(exit_.value) == "error: a\\nb\\x1b\\udcff ü\u202f\u200d\\u202egnp.exe: there is no such file"


@pytest.mark.parametrize("value", ["[1, NaN]", '{"a": "\\udce4.png"}', "7", "[[], {}]", "[" * 150 + "]" * 150])
def test_json_is_read(value):
    assert json.dumps(parse_json(value)) == value
    assert json.dumps(parse_json(value.encode())) == value


@pytest.mark.parametrize(
    "text", ["[" * depth + "]" * depth for depth in (250, 900, 100_000)] + ["", "{", b"\xff", "1" * 5000]
)
def test_other_text_is_refused(text):
    with pytest.raises(ValueError, match=r"deeply|Expecting|decode|Exceeds"):
        parse_json(text)
