"""An archive that is damaged or unsafe is refused in one line; another packing of the same files is accepted."""

import gzip
import tarfile
import tracemalloc
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_archives import accept_cifar, cifar_batches, pack

from fairdistill.data import archives, cifar10s
from fairdistill.data.archives import ArchiveError, read_members
from fairdistill.settings.data import Cifar10S


def everything(name):
    return True


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_members_come_by_base_name_and_sorted(tmp_path):
    archive = pack(
        tmp_path / "a.tar.gz", [("x/b", b"2"), ("a", b"1"), ("x/unwanted", b"3"), (special("x", tarfile.DIRTYPE), b"")]
    )
    members = read_members(archive, lambda name: name != "unwanted")
    assert list(members.items()) == [("a", b"1"), ("b", b"2")]


@pytest.mark.parametrize(
    "member",
    [
        "/etc/passwd",
        "../escape",
        "folder/../../escape",
        special("folder/link", tarfile.SYMTYPE, "/etc"),
        special("folder/inner", tarfile.SYMTYPE, "other"),
        special("folder/hard", tarfile.LNKTYPE, "/etc/passwd"),
        special("folder/disk", tarfile.BLKTYPE),
        special("folder/terminal", tarfile.CHRTYPE),
        special("folder/pipe", tarfile.FIFOTYPE),
    ],
)
def test_hostile_member_is_named(tmp_path, member):
    archive = pack(tmp_path / "a.tar.gz", [("folder/good", b"1"), (member, b"")])
    name = getattr(member, "name", member)
    with pytest.raises(ArchiveError, match=rf"a\.tar\.gz: the member '{name}'"):
        read_members(archive, lambda name: name == "good")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_what_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    archive = pack(tmp_path / "a.tar.gz", [("a", bytes(600)), ("b", bytes(600))])
    with pytest.raises(ArchiveError, match="over 1000 bytes, at 'b'"):
        read_members(archive, everything)


@pytest.mark.parametrize("content", [b"", b"<html>quota exceeded</html>", b"\x1f\x8b\x08\x00"])
def test_no_archive_at_all(tmp_path, content):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"a\.tar\.gz: damaged, or not a \.tar\.gz"):
        read_members(path, everything)


@pytest.mark.parametrize(
    "content",
    [b"PK\x03\x04", b"PK\x03\x04" + bytes(100)],
)
def test_a_damaged_zip_is_one_line(tmp_path, content):
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"a\.zip: damaged, or not a \.tar\.gz, \.tar, \.zip or folder \("):
        read_members(path, everything)


def test_a_zip_is_not_unpacked_beyond_the_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a", bytes(600))
        packed.writestr("b", bytes(600))
    with pytest.raises(ArchiveError, match="over 1000 bytes, at 'b'"):
        read_members(path, everything)


def header(name, size, kind=tarfile.REGTYPE):
    """The header of a member of a .tar, of whatever size it says."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


TOO_LONG = r"has a header of over 65536 bytes"
SPARSE = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header("././@LongLink", 5 * 2**30, tarfile.GNUTYPE_LONGNAME), TOO_LONG),
        (header("p", 5 * 2**30, tarfile.XHDTYPE), TOO_LONG),
        (header("p", 5 * 2**30, tarfile.XGLTYPE), TOO_LONG),
        # headers that each name the next one, without end
        ((header("././@LongLink", 1, tarfile.GNUTYPE_LONGNAME) + b"a".ljust(512, b"\0")) * 100, TOO_LONG),
        # a list of the parts of a sparse file, without end
        (header("p", len(SPARSE), tarfile.XHDTYPE) + SPARSE.ljust(512, b"\0") + header("s", 2**20) + b"1" * 2**20, "."),
        (header("unwanted", 50 * 2**30), "unpacks to over 2147483648 bytes"),
        (header("a", 2**60), r"unpacks to over 1073741824 bytes, at 'a'"),
        (header("a", 2000) + bytes(1000), "damaged, .*unexpected end of data"),
        (header("folder", 0, tarfile.DIRTYPE) * 40, "holds over 32 files and folders"),
    ],
)
@pytest.mark.parametrize("pack_up", [bytes, gzip.compress], ids=["plain", "compressed"])
def test_what_a_header_promises_is_neither_read_nor_unpacked(tmp_path, monkeypatch, pack_up, content, words):
    """Refused at once, though the zeros that it promises would follow, as a hole of the file that takes no space."""
    monkeypatch.setattr(archives, "MAX_MEMBERS", 32)
    path = tmp_path / "a.tar"
    path.write_bytes(pack_up(content))
    if pack_up is bytes and "unexpected end" not in words:
        with open(path, "ab") as file:
            file.truncate(6 * 2**30)
    tracemalloc.start()
    with pytest.raises(ArchiveError, match=words):
        read_members(path, lambda name: name == "a")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**24


def test_a_zip_gives_no_more_than_the_size_that_it_states(tmp_path):
    """The size in the list of a .zip may be any; what is compressed by lzma or bzip2 is unpacked whole in any case."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a", bytes(2**25))
    content = bytearray(path.read_bytes())
    stated = content.rindex(b"PK\x01\x02") + 24
    content[stated : stated + 4] = (10).to_bytes(4, "little")
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ArchiveError, match="damaged"):
        read_members(path, everything)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**23


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_of_another_method_is_refused(tmp_path, method):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as packed:
        packed.writestr("a", bytes(1000))
    with pytest.raises(ArchiveError, match="'a' is compressed by another method than deflate"):
        read_members(path, everything)


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
def test_any_compression_is_read_whatever_the_name(tmp_path, compression):
    archive = pack(tmp_path / "a.tar.gz", [("x/b", b"2"), ("a", b"1")], compression)
    assert read_members(archive, everything) == {"a": b"1", "b": b"2"}


def test_a_missing_archive_is_called_missing_and_not_damaged(tmp_path):
    with pytest.raises(ArchiveError, match=r"none\.tar\.gz: there is no such file or folder; give the path"):
        read_members(tmp_path / "none.tar.gz", everything)


@pytest.fixture(scope="module")
def genuine(tmp_path_factory):
    """A small archive that is accepted as CIFAR-10: its batches, and the path of the archive, not compressed."""
    batches = cifar_batches()
    members = [(f"folder/{name}", content) for name, content in batches.items()]
    archive = pack(tmp_path_factory.mktemp("genuine") / "cifar.tar", members, compression="")
    with pytest.MonkeyPatch.context() as monkeypatch:
        accept_cifar(monkeypatch, batches)
        yield batches, archive


# half of the examples are near the start, where the headers are
positions = st.integers(0, 1000) | st.integers(0, 10**9)


@pytest.mark.parametrize("inside", [False, True], ids=["compressed", "plain"])
@given(position=positions, flip=st.integers(1, 255), cut=st.booleans())
def test_damage_anywhere_is_found(genuine, inside, position, flip, cut):
    """With any byte changed, or the file cut anywhere, the archive is refused or still gives the right content."""
    batches, archive = genuine
    plain = archive.read_bytes()
    content = bytearray(plain if inside else gzip.compress(plain, compresslevel=1))
    position %= len(content)
    if cut:
        del content[position:]
    else:
        content[position] ^= flip
    damaged = archive.with_name("damaged.tar.gz")
    damaged.write_bytes(gzip.compress(content, compresslevel=1) if inside else content)
    try:
        members = cifar10s.verified_members(damaged)
    except ArchiveError:
        return
    assert members == batches


def test_repacked_archive_passes(genuine, tmp_path):
    batches, _ = genuine
    extra = [("./readme.html", b"about"), *reversed([(f"./other/{k}", v) for k, v in batches.items()])]
    assert cifar10s.verified_members(pack(tmp_path / "c.tar.gz", extra)) == batches


def test_missing_and_altered_batches_are_named(genuine, tmp_path):
    batches, _ = genuine
    lacking = [(k, v) for k, v in batches.items() if k != "data_batch_3"]
    with pytest.raises(ArchiveError, match="data_batch_3 is missing"):
        cifar10s.verified_members(pack(tmp_path / "c.tar.gz", lacking))
    altered = list((batches | {"test_batch": batches["data_batch_1"]}).items())
    with pytest.raises(ArchiveError, match="test_batch has a wrong checksum"):
        cifar10s.verified_members(pack(tmp_path / "c.tar.gz", altered))


def test_nothing_is_unpickled_before_its_checksum_is_right(genuine, tmp_path, monkeypatch):
    batches, _ = genuine
    monkeypatch.setattr(cifar10s.pickle, "loads", lambda *_, **__: pytest.fail("unpickled"))
    altered = list((batches | {"test_batch": b"cos\nsystem\n(S'true'\ntR."}).items())
    with pytest.raises(ArchiveError, match="test_batch has a wrong checksum"):
        cifar10s.prepare(Cifar10S(kind="cifar10s"), pack(tmp_path / "c.tar.gz", altered))
