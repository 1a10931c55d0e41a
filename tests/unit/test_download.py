"""Downloads from folders and from a local server that resumes or does not, breaks off, or sends other content."""

import errno
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path

import pytest
from synthetic_archives import accept_cifar, accept_faces, cifar_batches, faces, pack

from fairdistill.data import cifar10s, utkface
from fairdistill.data import download as module
from fairdistill.data.download import download
from fairdistill.runtime.errors import UserError, without_password
from fairdistill.settings.data import UTKFace

ROOT = Path(__file__).parents[2]
NAME = "cifar-10-python.tar.gz"


def publish_at(monkeypatch, url):
    monkeypatch.setitem(cifar10s.ARCHIVES, NAME, cifar10s.ARCHIVES[NAME]._replace(urls=[url]))


@pytest.fixture
def genuine(tmp_path, monkeypatch):
    """A small archive that is accepted as CIFAR-10, alone in a folder; no public address, no pauses."""
    batches = cifar_batches()
    accept_cifar(monkeypatch, batches)
    publish_at(monkeypatch, "http://127.0.0.1:9/cifar-10-python.tar.gz")
    monkeypatch.setattr(module, "PAUSE", 0)
    monkeypatch.setattr(module, "CHUNK", 4096)
    monkeypatch.delenv("FAIRDISTILL_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return pack(tmp_path / "mirror" / NAME, list(batches.items()))


@pytest.fixture
def output(tmp_path):
    return tmp_path / "resources" / NAME


class Server(ThreadingHTTPServer):
    """Serves `content` at every path, and records the Range and If-Range of each request, its path and encodings."""

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.headers = {"ETag": '"one"'}
        self.length = ""  # what it says instead of the true one
        self.ranges = True
        self.says_length = True
        self.status = None
        self.busy = []  # the status and, unless it is None, the Retry-After of the next answers
        self.breaks = []  # after how many bytes the next answers break off
        self.requests = []
        self.paths = []
        self.encodings = set()
        self.url = f"http://127.0.0.1:{self.server_port}/data"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted, condition = self.headers["Range"], self.headers["If-Range"]
        server.requests.append((wanted, condition))
        server.paths.append(self.path)
        server.encodings.add(self.headers["Accept-Encoding"])
        if server.busy:
            status, pause = server.busy.pop(0)
            self.send_response(status)
            if pause is not None:
                self.send_header("Retry-After", pause)
            self.end_headers()
            return
        if server.status:
            self.send_error(server.status)
            return
        start = 0
        if wanted and server.ranges and condition in server.headers.values():
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        body = server.content[start:]
        if server.says_length:
            self.send_header("Content-Length", server.length or str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        for header in server.headers.items():
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body[: server.breaks.pop(0)] if server.breaks else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(genuine):
    with Server(genuine.read_bytes()) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_folder_mirror(genuine, output, capsys):
    download(NAME, output, str(genuine.parent))
    assert output.read_bytes() == genuine.read_bytes()
    assert names(output.parent) == [NAME]
    assert capsys.readouterr().out == f"{NAME}: trying {genuine}\n{NAME}: verified and saved as {output}\n"


def test_utkface_too(genuine, tmp_path, monkeypatch):
    members = faces()
    accept_faces(monkeypatch, members)
    pack(genuine.with_name(UTKFace.archives[0]), list(members.items()))
    download(UTKFace.archives[0], tmp_path / "faces.tar.gz", str(genuine.parent))
    assert utkface.verified_members(tmp_path / "faces.tar.gz") == members


def test_the_variable_names_a_mirror_and_the_argument_wins(genuine, output, monkeypatch, capsys):
    monkeypatch.setenv("FAIRDISTILL_MIRROR", str(genuine.parent))
    download(NAME, output)
    assert output.exists()
    capsys.readouterr()
    download(NAME, output, str(genuine.parent) + "/")
    assert capsys.readouterr().out.count("trying") == 1


@pytest.mark.parametrize("user", ["me:s3cr3t", "me:s3#cr3t", "me:s3@x/cr3t", "cr3t"])
@pytest.mark.parametrize("address", ["http://{user}@127.0.0.1:9/x", "ftp://{user}@host/x", "http://{user}@[bad/x"])
def test_no_password_of_a_mirror_is_shown(genuine, output, capsys, user, address):
    with pytest.raises(UserError) as error:
        download(NAME, output, address.format(user=user))
    said = capsys.readouterr().out + str(error.value)
    assert said.count("://***@") >= 2
    for part in ("me:", "s3", "cr3t"):
        assert part not in said
    escape = "does not work: its password has / ? # or @ in it; write %2F, %3F, %23 or %40 in their place"
    assert (escape in said) == (("#" in user or "/" in user) and address.startswith("http:"))


def test_no_token_of_a_mirror_is_shown(genuine, output, capsys):
    """Nor in what requests says, which has the address in two parts."""
    with pytest.raises(UserError) as error:
        download(NAME, output, "http://127.0.0.1:9/x?token=s3cr3t")
    said = capsys.readouterr().out + str(error.value)
    assert "with url: /x?***" in said
    assert "s3cr3t" not in said


def test_no_token_behind_an_address_is_shown():
    text = "https://host/a?token=s3cr3t&x=/b is tried, then http://me:s3@host/c?s3#d"
    assert without_password(text) == "https://host/a?*** is tried, then http://***@host/c?***#d"


@pytest.mark.parametrize(
    "text", ["https://host:8080/a@b", "http://host/a@b", "no URL: a:b@c", "from https://a.b/c, or d:e@f"]
)
def test_text_without_a_password_is_shown_as_it_is(text):
    assert without_password(text) == text


@pytest.mark.parametrize("ending", ["", "/"])
def test_url_mirror(server, output, ending):
    download(NAME, output, server.url + ending)
    assert output.read_bytes() == server.content
    assert server.requests == [(None, None)]
    assert server.paths == [f"/data/{NAME}"]


@pytest.mark.parametrize("length", ["{0}, {0}", "many"])
def test_a_length_that_is_no_number_is_no_news(server, output, length):
    server.length = length.format(len(server.content))
    download(NAME, output, server.url)
    assert output.read_bytes() == server.content


def test_a_mirror_in_the_home_of_nobody_is_not_there(genuine, output):
    with pytest.raises(UserError, match="no source has it"):
        download(NAME, output, "~nobody.is.called.so/mirror")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_address_is_no_path(genuine, output, monkeypatch, scheme):
    asked = []

    def refuse(url, timeout, **_):
        asked.append((url, timeout))
        raise module.SourceError("nobody is there")

    monkeypatch.setattr(module.requests, "get", refuse)
    with pytest.raises(UserError, match="no source has it"):
        download(NAME, output, f"{scheme}://host/data")
    # a server that accepts a connection and then says nothing is not waited for without end
    assert asked[0] == (f"{scheme}://host/data/{NAME}", module.TIMEOUT)
    assert None not in module.TIMEOUT


def test_progress_is_printed_in_lines(server, output, monkeypatch, capsys):
    monkeypatch.setattr(module, "PROGRESS_EVERY", 0)
    download(NAME, output, server.url)
    total = len(server.content) / 1e6
    lines = [line for line in capsys.readouterr().out.splitlines() if line.endswith(" MB")]
    assert lines[-1] == f"{total:.1f} of {total:.1f} MB"
    assert len(lines) > 1


def test_server_that_does_not_say_the_length(server, output, monkeypatch, capsys):
    monkeypatch.setattr(module, "PROGRESS_EVERY", 0)
    server.says_length = False
    download(NAME, output, server.url)
    assert output.read_bytes() == server.content
    assert f"\n{len(server.content) / 1e6:.1f} MB\n" in capsys.readouterr().out


def test_an_archive_that_is_declared_as_compressed_on_the_way_stays_packed(server, output):
    """Many servers say of a .tar.gz that its content is encoded by gzip, whatever a client accepts."""
    server.headers["Content-Encoding"] = "gzip"
    download(NAME, output, server.url)
    assert output.read_bytes() == server.content


def test_public_address_without_a_mirror(server, output, monkeypatch):
    publish_at(monkeypatch, f"{server.url}/{NAME}")
    download(NAME, output)
    assert output.read_bytes() == server.content


@pytest.mark.parametrize(
    "headers", [{"ETag": '"one"'}, {"ETag": 'W/"1"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}]
)
def test_broken_transfer_is_resumed(server, output, headers):
    server.headers = headers
    server.breaks = [100_000, 50_000]
    download(NAME, output, server.url)
    assert output.read_bytes() == server.content
    version = list(headers.values())[-1]
    (first, _), (second, condition), (third, _) = server.requests
    assert (first, condition) == (None, version)
    starts = [int(wanted.removeprefix("bytes=").removesuffix("-")) for wanted in (second, third)]
    assert 90_000 < starts[0] <= 100_000
    assert starts[0] + 40_000 < starts[1] <= starts[0] + 50_000
    # compressed on the way, its bytes would be others than those that the ranges count
    assert server.encodings == {"identity"}
    assert names(output.parent) == [NAME]


def test_a_later_run_continues(server, output):
    server.breaks = [50_000] * module.ATTEMPTS
    with pytest.raises(UserError):
        download(NAME, output, server.url)
    assert not output.exists()
    download(NAME, output, server.url)
    assert output.read_bytes() == server.content
    assert server.requests[-1][0].startswith("bytes=1")
    assert names(output.parent) == [NAME]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("headers", [{}, {"ETag": '"one"'}])
def test_server_without_ranges_or_versions_starts_anew(server, output, ranges, headers):
    server.ranges, server.headers = ranges, headers
    server.breaks = [100_000]
    download(NAME, output, server.url)
    assert output.read_bytes() == server.content
    assert len(server.requests) == 2


def test_new_version_starts_anew(server, output):
    server.breaks = [50_000] * module.ATTEMPTS
    genuine, server.content = server.content, bytes(len(server.content))
    with pytest.raises(UserError):
        download(NAME, output, server.url)
    server.content, server.headers = genuine, {"ETag": '"two"'}
    download(NAME, output, server.url)
    assert output.read_bytes() == genuine


def test_complete_but_unpublished_file_is_fetched_anew(server, output):
    """A run that was killed after the last byte left a complete file; the server refuses a range behind its end."""
    server.breaks = [50_000] * module.ATTEMPTS
    with pytest.raises(UserError):
        download(NAME, output, server.url)
    (partial,) = output.parent.glob("*.partial")
    partial.write_bytes(server.content)
    download(NAME, output, server.url)
    assert output.read_bytes() == server.content


def test_bytes_of_two_sources_never_mix(server, output, monkeypatch):
    """The mirror keeps breaking off. The public address has the same ETag, but is downloaded from its first byte."""
    publish_at(monkeypatch, f"{server.url}/elsewhere/{NAME}")
    server.breaks = [50_000] * module.ATTEMPTS
    download(NAME, output, server.url)
    assert server.requests[module.ATTEMPTS] == (None, None)
    assert output.read_bytes() == server.content
    assert names(output.parent) == [NAME]


@pytest.mark.parametrize(
    ("status", "requests"), [(400, 1), (404, 1), (499, 1), (500, module.ATTEMPTS), (503, module.ATTEMPTS)]
)
def test_server_that_refuses_falls_through(server, output, monkeypatch, genuine, capsys, status, requests):
    server.status = status
    publish_at(monkeypatch, f"{server.url}/{NAME}")
    with pytest.raises(UserError):
        download(NAME, output, str(genuine.parent / "empty"))
    assert len(server.requests) == requests
    lines = capsys.readouterr().out
    assert f"{NAME}: {genuine.parent}/empty/{NAME} does not work: no such file" in lines
    assert str(status) in lines


def test_the_pauses_between_attempts_double(server, output, monkeypatch):
    pauses = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    monkeypatch.setattr(module, "PAUSE", 3)
    monkeypatch.setattr(module, "ATTEMPTS", 4)
    server.status = 500
    with pytest.raises(UserError):
        download(NAME, output, server.url)
    # and anew for the next source
    assert pauses == [0, 3, 6, 12] * 2


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked", "waited"),
    # a date that has passed, and what is no pause
    [("7", 7), (None, 0), ("Thu, 01 Jan 2026 00:00:00 GMT", 0), ("soon", 0), ("9" * 5000, 0)],
)
def test_a_busy_server_is_asked_again_as_it_says(server, output, monkeypatch, capsys, status, asked, waited):
    pauses = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    server.busy = [(status, asked)]
    download(NAME, output, server.url)
    assert output.read_bytes() == server.content
    assert pauses == [0, waited]
    assert (f"the server answers {status}" in (said := capsys.readouterr().out)) == bool(waited)
    assert ("\nasking again in 7 s, as the server says: the server answers" in said) == bool(waited)


def test_a_server_that_stays_busy_is_given_up(server, output, monkeypatch, capsys):
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    server.busy = [(429, "7")] * 99
    with pytest.raises(UserError, match="no source has it"):
        download(NAME, output, server.url)
    assert len(server.requests) == module.ATTEMPTS
    said = capsys.readouterr().out
    assert "does not work: the server answers 429 Too Many Requests (in 3 attempts)" in said
    # after the last there is none
    assert said.count("asking again in 7 s") == module.ATTEMPTS - 1


@pytest.mark.parametrize(("hours", "told"), [(1, "1 h 0 min"), (28, "28 h 0 min")])
@pytest.mark.parametrize("as_a_date", [True, False])
def test_a_pause_of_hours_is_told_and_not_waited_for(server, output, capsys, hours, told, as_a_date):
    seconds = 3600 * hours
    server.busy = [(429, formatdate(time.time() + seconds + 0.5, usegmt=True) if as_a_date else str(seconds))]
    with pytest.raises(UserError, match="no source has it"):
        download(NAME, output, server.url)
    assert len(server.requests) == 1
    assert f"answers 429 Too Many Requests, and asks for a pause of {told}; try again then" in capsys.readouterr().out


def put_zip(folder, batches):
    with zipfile.ZipFile(folder / "archive.zip", "w") as packed:
        for name, content in batches.items():
            packed.writestr(f"cifar-10-batches-py/{name}", content)


def put_tar(folder, batches):
    pack(folder / "cifar-10-python.tar", list(batches.items()), compression="")


def put_tar_under_the_name(folder, batches):
    pack(folder / NAME, list(batches.items()), compression="")


def put_folder(folder, batches, name="cifar-10-batches-py"):
    (folder / name).mkdir()
    for batch, content in batches.items():
        (folder / name / batch).write_bytes(content)


def put_folder_under_the_name(folder, batches):
    put_folder(folder, batches, NAME)


@pytest.mark.parametrize(
    ("place", "put"),
    [
        *product(["mirror", "resources"], [put_zip, put_tar, put_folder]),
        *product(["mirror"], [put_tar_under_the_name, put_folder_under_the_name]),
    ],
)
def test_what_has_the_right_content_is_taken(genuine, output, place, put):
    """As a browser unpacks it, as Kaggle packs it, or unpacked; in the mirror or where the archive is to be."""
    batches = cifar10s.verified_members(genuine)
    genuine.unlink()
    folder = output.parents[1] / place
    folder.mkdir(exist_ok=True)
    put(folder, batches)
    download(NAME, output, str(genuine.parent))
    assert output.is_file()
    assert cifar10s.verified_members(output) == batches


def test_a_folder_of_other_content_falls_through(server, output, genuine, monkeypatch, capsys):
    publish_at(monkeypatch, f"{server.url}/{NAME}")
    genuine.unlink()
    put_folder(genuine.parent, {"data_batch_1": b"other"})
    download(NAME, output, str(genuine.parent))
    assert output.read_bytes() == server.content
    assert "cifar-10-batches-py does not work: data_batch_1 has a wrong checksum" in capsys.readouterr().out


def damaged(content):
    return bytes([*content[:2000], content[2000] ^ 1, *content[2001:]])


def test_an_empty_folder_falls_through(server, output, monkeypatch, genuine, capsys):
    publish_at(monkeypatch, f"{server.url}/{NAME}")
    genuine.unlink()
    genuine.mkdir()
    download(NAME, output, str(genuine.parent))
    assert output.read_bytes() == server.content
    assert f"{genuine} does not work: data_batch_1 is missing" in capsys.readouterr().out


@pytest.mark.parametrize("harm", [damaged, lambda content: content[:-5000], lambda content: b"<html>log in</html>"])
def test_damaged_mirror_falls_through_to_the_next_source(server, output, monkeypatch, genuine, capsys, harm):
    publish_at(monkeypatch, f"{server.url}/{NAME}")
    genuine.write_bytes(harm(server.content))
    download(NAME, output, str(genuine.parent))
    assert output.read_bytes() == server.content
    assert f"{NAME}: {genuine} does not work: " in capsys.readouterr().out


def test_damaged_everywhere_leaves_the_earlier_file_and_no_other(server, output, capsys):
    output.parent.mkdir()
    output.write_bytes(b"earlier")
    server.content = damaged(server.content)
    with pytest.raises(UserError, match="no source has it"):
        download(NAME, output, server.url)
    assert output.read_bytes() == b"earlier"
    assert names(output.parent) == [NAME]


# the system refuses to look at the last, as it does where a folder may not be entered
@pytest.mark.parametrize("mirror", [None, "nowhere", "x" * 300])
def test_no_source_says_what_to_fetch_and_where_to_put_it(genuine, output, mirror):
    with pytest.raises(UserError) as error:
        download(NAME, output, mirror)
    message = str(error.value)
    for part in (cifar10s.URL, str(output), "data.mirror", "FAIRDISTILL_MIRROR"):
        assert part in message
    assert "\n" not in message
    assert not list(output.parent.iterdir())


def test_unknown_archive_is_named(output):
    with pytest.raises(
        UserError, match=r"'mnist.tar.gz' is unknown; choose one of cifar-10-python.tar.gz, UTKFace.tar.gz, img_al"
    ):
        download("mnist.tar.gz", output)


def test_links_in_a_folder_are_followed(genuine, output, tmp_path):
    """And the packed files are called as the published ones, wherever the folder was."""
    batches = cifar10s.verified_members(genuine)
    genuine.unlink()
    put_folder(tmp_path, batches, "elsewhere")
    folder = genuine.parent / "cifar-10-batches-py"
    folder.mkdir()
    for path in (tmp_path / "elsewhere").iterdir():
        (folder / path.name).symlink_to(path)
    download(NAME, output, str(genuine.parent))
    with tarfile.open(output) as tar:
        assert {member.name: member.isfile() for member in tar} == dict.fromkeys(batches, True)


@pytest.mark.parametrize(("number", "is_of_the_source"), [(errno.EIO, True), (errno.ENOSPC, False)])
def test_an_error_of_reading_falls_through_and_one_of_writing_does_not(
    genuine, output, monkeypatch, capsys, number, is_of_the_source
):
    def fail(source, target):
        raise OSError(number, "it fails", str(source))

    monkeypatch.setattr(module.shutil, "copyfile", fail)
    with pytest.raises(UserError if is_of_the_source else OSError):
        download(NAME, output, str(genuine.parent))
    assert (f"does not work: {genuine}: it fails" in capsys.readouterr().out) == is_of_the_source


def test_script_on_a_disk_that_fills_up(genuine, output):
    """A limit on the size of files, in KiB, stands for a full disk; the earlier file stays whole."""
    output.parent.mkdir()
    output.write_bytes(b"earlier")
    arguments = ["--archive", NAME, "--output", str(output), "--mirror", str(genuine.parent)]
    command = ["bash", "-c", 'ulimit -f 20; exec "$@"', "-", sys.executable, "-m", "scripts.download_dataset"]
    failed = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1
    assert output.read_bytes() == b"earlier"
    assert names(output.parent) == [NAME]
