"""Find the images that show the same photograph, also where their files differ.

Two images are near-identical if one of these holds, for the one as it is and the other as it is or mirrored:

- Their perceptual hashes differ in at most `THRESHOLD` of 256 bits. The hash is `phash` of the package ImageHash: the
  signs, about their median, of the 16 x 16 lowest frequencies of the gray image at 32 px.
- Their hashes differ in at most `CANDIDATE` bits, and their gray values at 24 px have a correlation above
  `CORRELATION`.

The hashes of unrelated images differ in about 128 bits. The thresholds were fixed by looking at pairs of images, and
not by what a model makes of them; docs/reproduction.md has the evidence, under "Near-identical images". Correlation
alone would not do: at equal precision it misses the copies that are cut or turned a little differently.

A family is a connected component: all images that a chain of near-identical pairs joins.
"""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fairdistill.runtime.parallel import in_threads
from fairdistill.runtime.progress import Progress

THRESHOLD = 40
CANDIDATE = 64
CORRELATION = 0.98

HASH_SIZE = 16
HASHED_PX = 32
COMPARED_PX = 24
# the part of the table of all pairs that is compared at a time: small enough for a processor's cache
ROWS, COLUMNS = 64, 4096


def families(images: Iterable[NDArray[np.uint8]], *, threshold: int = THRESHOLD) -> NDArray[np.int64]:
    """Return the family of each image, as the position of the family's first image.

    Parameters
    ----------
    images
        uint8 (H, W, 3) arrays of any size. Each is read once and not kept. All pairs are compared, so that the time
        grows with the square of their number: it is a minute or two for 60,000 images.
    threshold
        The number of bits, of 256, in which the hashes of near-identical images differ at most.

    Returns
    -------
    int64 (n,)
        Two images are in one family if and only if their numbers are equal. Which images are together does not depend
        on the order of the images.

    Examples
    --------
    >>> one, other = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    >>> families([one, other, one[:, ::-1]]).tolist()
    [0, 1, 0]
    """
    return families_of(map(describe, images), threshold=threshold)


class Description(NamedTuple):
    """What is compared of an image: the bits of its hash and of its mirror image's (32 bytes), and its gray values."""

    bits: bytes
    mirrored: bytes
    gray: bytes


def describe(image: NDArray[np.uint8]) -> Description:
    """Return what `families_of` compares of an image, uint8 (H, W, 3)."""
    full = Image.fromarray(image).convert("L")
    small = full.resize((HASHED_PX, HASHED_PX), Image.Resampling.LANCZOS)
    return Description(
        _hash(small, image),
        _hash(ImageOps.mirror(small), image[:, ::-1]),
        full.resize((COMPARED_PX, COMPARED_PX), Image.Resampling.BILINEAR).tobytes(),
    )


def families_of(descriptions: Iterable[Description], *, threshold: int = THRESHOLD) -> NDArray[np.int64]:
    """Return the family of each image by its description, as `families` does."""
    hashes, mirrored, gray = _tables(descriptions)
    family = np.arange(len(gray))
    progress = Progress("comparing images", len(gray))

    def near_in_rows(start: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        rows = slice(start, start + ROWS)
        found = []
        # the median makes the two ways to mirror a pair differ in a few bits, so all pairs are compared both ways
        for others, flip, first in ((hashes, 1, start), (mirrored, -1, 0)):
            for column in range(first, len(gray), COLUMNS):
                columns = slice(column, column + COLUMNS)
                i, j = _near(hashes[:, rows], others[:, columns], gray[rows], gray[columns, :, ::flip], threshold)
                if len(i):
                    found.append((i + start, j + column))
        return found

    starts = range(0, len(gray), ROWS)
    for start, found in zip(starts, in_threads(near_in_rows, starts), strict=True):
        for i, j in found:
            family = _join(family, i, j)
        progress.step(min(start + ROWS, len(gray)))
    return family


def _tables(descriptions: Iterable[Description]) -> tuple[NDArray, NDArray, NDArray]:
    """Return the hashes of the images and of their mirror images, uint64 (4, n) each, and uint8 (n, 24, 24) in gray."""
    parts = list(zip(*descriptions, strict=True)) or [(), (), ()]
    hashes, mirrored, gray = (b"".join(part) for part in parts)
    # word by word, as they are compared
    words, mirrored_words = (
        np.ascontiguousarray(np.frombuffer(bits, dtype=np.uint64).reshape(-1, HASH_SIZE**2 // 64).T)
        for bits in (hashes, mirrored)
    )
    return words, mirrored_words, np.frombuffer(gray, dtype=np.uint8).reshape(-1, COMPARED_PX, COMPARED_PX)


def _hash(small: Image.Image, image: NDArray[np.uint8]) -> bytes:
    """Return the 256 bits of an image from its reduced gray version."""
    darkest, lightest = small.getextrema()
    if darkest == lightest:
        # no frequency but zero, so that all such images would be alike; a digest of as many bits finds the identical
        return hashlib.sha256(image.tobytes()).digest()
    return np.packbits(imagehash.phash(small, HASH_SIZE, highfreq_factor=HASHED_PX // HASH_SIZE).hash).tobytes()


def _near(
    hashes: NDArray, others: NDArray, gray: NDArray, other_gray: NDArray, threshold: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the positions i, j of the near-identical pairs of `hashes` (4, m) and `others` (4, n)."""
    distance = np.zeros((hashes.shape[1], others.shape[1]), dtype=np.uint16)
    for word, other in zip(hashes, others, strict=True):
        distance += np.bitwise_count(word[:, None] ^ other)
    if distance.min() > max(threshold, CANDIDATE):
        # of most parts of the table; without a further look at each pair
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    near = distance <= threshold
    rows, columns = (np.flatnonzero((distance <= CANDIDATE).any(axis=axis)) for axis in (1, 0))
    block = np.ix_(rows, columns)
    correlation = _standardised(gray[rows]) @ _standardised(other_gray[columns]).T
    near[block] |= (correlation > CORRELATION) & (distance[block] <= CANDIDATE)
    i, j = np.nonzero(near)
    return i, j


def _standardised(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return images (n, 24, 24) as vectors (n, 576) of mean 0 and length 1, whose products are correlations."""
    vectors = gray.reshape(len(gray), COMPARED_PX**2).astype(np.float32)
    vectors -= vectors.mean(axis=1, keepdims=True)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)


def _join(family: NDArray[np.int64], i: NDArray[np.intp], j: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return the families (n,) after those of the images i and j have become one, pair by pair."""
    if np.array_equal(family[i], family[j]):
        return family
    n = len(family)
    edges = np.concatenate([np.arange(n), i]), np.concatenate([family, j])
    _, component = connected_components(
        coo_array((np.ones(n + len(i), dtype=bool), edges), shape=(n, n)), directed=False
    )
    _, first = np.unique(component, return_index=True)
    return first[component]
