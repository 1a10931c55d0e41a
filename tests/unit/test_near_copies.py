"""Near-identical images: what is one photograph, what is not, and that neither order nor size matters."""

import doctest
import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance
from synthetic_archives import faces

from fairdistill.data import near_copies
from fairdistill.data.near_copies import families


def photographs(n=12, size=96):
    """Different images, (size, size, 3), whose amplitudes fall with the frequency as those of photographs do."""
    noise = np.random.default_rng(0).normal(size=(n, size, size, 3))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :])
    frequency[0, 0] = np.inf
    image = np.fft.ifft2(np.fft.fft2(noise, axes=(1, 2)) / frequency[..., None], axes=(1, 2)).real
    return list((127.5 + 40 * image / image.std()).clip(0, 255).astype(np.uint8))


def as_jpeg(image):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    return Image.open(buffer).convert("RGB")


def with_a_watermark(image):
    image = image.copy()
    ImageDraw.Draw(image).text((10, 60), "a watermark", fill=(200, 200, 200))
    return image


CHANGES = {
    "none": lambda image: image,
    "mirror": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "JPEG": as_jpeg,
    "smaller": lambda image: image.resize((40, 40)),
    "larger": lambda image: image.resize((130, 130)),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.4),
    "gray": lambda image: image.convert("L").convert("RGB"),
    "a watermark": with_a_watermark,
    "mirror, smaller, JPEG": lambda image: as_jpeg(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((40, 40))),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_copy_is_in_the_family_of_its_original(change):
    originals = photographs()
    copies = [np.asarray(change(Image.fromarray(image))) for image in originals]
    n = len(originals)
    assert families(originals + copies).tolist() == [*range(n), *range(n)]


def test_different_images_are_families_of_their_own():
    images = photographs(n=200)
    noise = [np.asarray(Image.open(io.BytesIO(content))) for content in faces(per_cell=10).values()]
    assert families(images + noise).tolist() == list(range(350))


def test_a_chain_joins_its_ends():
    """Each step is a near-identical pair, and the ends are not: a family is more than the pairs of its first image."""
    start, end = (image.astype(float) for image in photographs(n=2))
    steps = [((1 - t) * start + t * end).astype(np.uint8) for t in np.linspace(0, 1, 21)]
    assert families([steps[0], steps[-1]]).tolist() == [0, 1]
    assert set(families(steps).tolist()) == {0}
    # without the middle two families are left, of which the second begins after the gap
    assert set(families(steps[:6] + steps[-6:]).tolist()) == {0, 6}


def test_families_do_not_depend_on_the_order_of_the_images():
    originals = photographs(n=150)
    copies = [np.asarray(CHANGES["mirror, smaller, JPEG"](Image.fromarray(image))) for image in originals[::2]]
    images = originals + copies
    first = families(images)
    assert np.array_equal(first, families(iter(images)))
    order = np.random.default_rng(0).permutation(len(images))
    again = families([images[i] for i in order])
    # the same images are together, and a family has the number of its first image in the new order
    assert np.array_equal(first[order][:, None] == first[order], again[:, None] == again)
    assert np.array_equal(again[again], again)
    assert (again <= np.arange(len(images))).all()


def test_the_threshold_is_the_largest_distance_of_the_hashes(monkeypatch):
    monkeypatch.setattr(near_copies, "CORRELATION", 1.0)
    original = photographs(n=1)[0]
    pair = [original, np.asarray(CHANGES["mirror, smaller, JPEG"](Image.fromarray(original)))]
    joined = [len(set(families(pair, threshold=bits).tolist())) == 1 for bits in range(near_copies.THRESHOLD + 1)]
    distance = joined.index(True)
    assert distance > 0
    assert all(joined[distance:])


def test_correlation_joins_what_the_hash_leaves_in_doubt(monkeypatch):
    original = photographs(n=1)[0]
    pair = [original, np.asarray(as_jpeg(Image.fromarray(original)))]
    assert families(pair, threshold=0).tolist() == [0, 0]
    monkeypatch.setattr(near_copies, "CORRELATION", 1.0)
    assert families(pair, threshold=0).tolist() == [0, 1]


def test_images_of_one_gray_level_are_copies_only_if_identical():
    black, white = np.zeros((20, 20, 3), np.uint8), np.full((20, 20, 3), 255, np.uint8)
    assert families([black, white, black, white[:9], white]).tolist() == [0, 1, 0, 3, 1]


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3, 3), (8, 8, 3)])
def test_tiny_images_are_compared(shape):
    one, other = np.random.default_rng(1).integers(0, 256, (2, *shape), dtype=np.uint8)
    assert families([one, other, one, one[:, ::-1]]).tolist() == [0, 1, 0, 0]


def test_the_example_in_the_docstring():
    failed, tried = doctest.testmod(near_copies)
    assert tried > 0
    assert failed == 0


def test_no_images_have_no_families():
    assert families([]).shape == (0,)
