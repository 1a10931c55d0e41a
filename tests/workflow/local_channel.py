"""A local conda channel of what is installed here: environments in seconds, without a network.

A package makes one installed distribution visible and depends on what that depends on. So an environment has
what its file names and no more, and an import that the file misses fails.
"""

import asyncio
import hashlib
import importlib.metadata
import json
import sys
import tarfile
from collections import Counter
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rattler.index import index_fs
from synthetic_archives import pack

CONDA_NAMES = {"huggingface-hub": "huggingface_hub", "torch": "pytorch"}
SITE_PACKAGES = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def write_channels(root: Path) -> None:
    """Write what is installed here as the channel conda-forge in the folder `root`, and an empty one beside it."""
    channel = root / "conda-forge"
    distributions = {conda_name(found.name): found for found in importlib.metadata.distributions()}
    parts = {name: top_level(distribution) for name, distribution in distributions.items()}
    owners = Counter(part for own in parts.values() for part in own)
    write_python(channel)
    for name, distribution in distributions.items():
        visible = root / "visible" / name
        visible.mkdir(parents=True)
        for part in parts[name]:
            # a folder that several share holds CUDA's libraries, and torch finds them beside its true place
            if owners[part] == 1:
                (visible / part).symlink_to(distribution.locate_file(part))
        depends = sorted(requirements(distribution) & distributions.keys())
        members = [(f"{SITE_PACKAGES}/{name}.pth", f"{visible}\n".encode())]
        write_package(channel, name, distribution.version, depends, members)
    asyncio.run(index_fs(channel, write_zst=False, write_shards=False))
    # conda 26 looks it up like any other
    (root / "nodefaults" / "noarch").mkdir(parents=True)
    asyncio.run(index_fs(root / "nodefaults", write_zst=False, write_shards=False))


def write_python(channel):
    """The interpreter behind a virtual environment: in another folder it is another, empty, environment."""
    interpreter = Path(sys.executable).resolve()
    settings = f"home = {interpreter.parent}\ninclude-system-site-packages = false\n"
    link = tarfile.TarInfo("bin/python")
    link.type, link.linkname = tarfile.SYMTYPE, str(interpreter)
    version = ".".join(map(str, sys.version_info[:3]))
    write_package(channel, "python", version, [], [(link, b""), ("pyvenv.cfg", settings.encode())])


def write_package(channel, name, version, depends, members):
    """Write a package of `members`: pairs of a path in the environment (or a link there) and its content."""
    index = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": depends}
    paths = [described(member, content) for member, content in members]
    info = {
        "index.json": json.dumps(index | {"noarch": "generic", "subdir": "noarch"}),
        "paths.json": json.dumps({"paths_version": 1, "paths": paths}),
        "about.json": "{}",
        "files": "".join(f"{path['_path']}\n" for path in paths),
    }
    about = [(f"info/{file}", text.encode()) for file, text in info.items()]
    pack(channel / "noarch" / f"{name}-{version}-0.tar.bz2", [*about, *members], compression="bz2")


def described(member, content):
    """A file's entry in paths.json."""
    if isinstance(member, tarfile.TarInfo):
        return {"_path": member.name, "path_type": "softlink"}
    digest = hashlib.sha256(content).hexdigest()
    return {"_path": member, "path_type": "hardlink", "sha256": digest, "size_in_bytes": len(content)}


def top_level(distribution):
    """What a distribution has put right below site-packages."""
    return {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}


def requirements(distribution):
    """Names of what a distribution needs on this machine, without extras."""
    parsed = map(Requirement, distribution.requires or [])
    return {conda_name(r.name) for r in parsed if not r.marker or r.marker.evaluate({"extra": ""})}


def conda_name(distribution):
    name = canonicalize_name(distribution)
    return CONDA_NAMES.get(name, name)
