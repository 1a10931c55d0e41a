"""Small archives in the form of the real ones, and patches that make the code accept them as the published ones."""

import hashlib
import io
import pickle
import tarfile

import numpy as np
from PIL import Image

from fairdistill.data import cifar10s, utkface
from fairdistill.data.archives import digest_of_files

IMAGES_PER_BATCH = 20


def pack(path, members, compression="gz"):
    """Write (name or TarInfo, content) pairs to a tar file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, f"w:{compression}") as tar:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def cifar_batches():
    """Six batches of noise, each with two images of each class."""
    rng = np.random.default_rng(0)
    return {
        name: pickle.dumps(
            {
                "data": rng.integers(0, 256, (IMAGES_PER_BATCH, 3072), dtype=np.uint8),
                "labels": [int(c) for c in rng.permutation(np.arange(IMAGES_PER_BATCH) % 10)],
            }
        )
        for name in cifar10s.SHA256
    }


def accept_cifar(monkeypatch, batches):
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in batches.items()}
    monkeypatch.setattr(cifar10s, "SHA256", digests)


def noise_image(rng, size, encoding):
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(buffer, encoding)
    return buffer.getvalue()


def faces(per_cell=4, size=12, encoding="JPEG"):
    """Different images of noise, of `size` px: `per_cell` for each age class and each race, "Others" included."""
    rng = np.random.default_rng(0)
    return {
        f"{age}_0_{race}_2017{i:013d}.jpg.chip.jpg": noise_image(rng, size, encoding)
        for age in (7, 30, 65)
        for race in range(5)
        for i in range(per_cell)
    }


def with_copies(members):
    """Add a copy of each third file under another date; of these, also each second with another age, or as "Others"."""
    copies = {}
    for i, (name, content) in enumerate(members.items()):
        age, gender, race, _ = name.split("_")
        if i % 3 == 0:
            copies[f"{age}_{gender}_{race}_2018{i:013d}.jpg.chip.jpg"] = content
        if i % 6 == 0:
            copies[f"{90 - int(age)}_{gender}_{race}_2019{i:013d}.jpg.chip.jpg"] = content
        if i % 12 == 3:
            copies[f"{age}_{gender}_4_2019{i:013d}.jpg.chip.jpg"] = content
    return members | copies


def accept_faces(monkeypatch, members):
    monkeypatch.setattr(utkface, "N_FILES", len(members))
    monkeypatch.setattr(utkface, "SHA256", digest_of_files(members.items()))
    monkeypatch.setattr(utkface, "_published", lambda: {utkface._number(*member) for member in members.items()})
