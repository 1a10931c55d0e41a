"""Pictures of all sorts become square RGB images, and what is none is refused."""

import io
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from fairdistill.runtime import pictures
from fairdistill.runtime.pictures import FORMATS, TURNED, UndecodableError, decode


def gradient(width=60, height=40):
    """A smooth picture without any symmetry, "RGB"."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [255 * x / width, 255 * y / height, 255 * (x * y) / (width * height)]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def saved(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def plain(image, size=16):
    """The central square of a picture, resized by Pillow."""
    edge = min(image.size)
    left, top = ((length - edge) // 2 for length in image.size)
    square = image.crop((left, top, left + edge, top + edge)).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(square.convert("RGB")).astype(int)


def assert_close(found, wanted, tolerance):
    assert found.shape == wanted.shape
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - wanted).max() <= tolerance


@pytest.mark.parametrize(
    ("file_format", "options", "tolerance"),
    [
        ("PNG", {}, 1),
        ("BMP", {}, 1),
        ("TIFF", {}, 1),
        ("PPM", {}, 1),
        ("TGA", {}, 1),
        ("JPEG", {"quality": 95}, 8),
        ("WEBP", {"lossless": True}, 1),
        ("GIF", {}, 30),
        ("JPEG2000", {}, 4),
    ],
)
def test_formats(file_format, options, tolerance):
    assert_close(decode(saved(gradient(), file_format, **options), 16), plain(gradient()), tolerance)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
def test_modes(mode):
    image = gradient().convert(mode)
    file_format = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    options = {"quality": 100, "subsampling": 0} if file_format == "JPEG" else {}
    # a picture of two colours has edges, of which the resizing makes gray only after its conversion
    wanted = plain(image.convert("L" if mode == "1" else "RGB"))
    # at its edges the square takes a little of what is beside it
    assert_close(decode(saved(image, file_format, **options), 16), wanted, 16 if mode == "1" else 4)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "PPM"])
def test_of_16_bits_the_upper_8_are_kept(file_format):
    values = (np.arange(32 * 32).reshape(32, 32) * 64).astype(np.uint16)
    found = decode(saved(Image.fromarray(values), file_format), 32)
    np.testing.assert_array_equal(found, np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=-1))


def test_what_is_transparent_is_white():
    image = gradient().convert("RGBA")
    image.putalpha(Image.fromarray(np.repeat([[0], [255]], [20, 20], axis=0).repeat(60, axis=1).astype(np.uint8)))
    found = decode(saved(image), 40)
    assert (found[:19] == 255).all()
    np.testing.assert_array_equal(found[21:], plain(gradient(), 40)[21:])


def test_the_colour_under_a_transparent_pixel_does_not_shine_through():
    """Where colours are resized before they are weighted with their opacity, a red fringe is left."""
    values = np.zeros((40, 40, 4), dtype=np.uint8)
    values[:, :19] = [255, 0, 0, 0]
    values[:, 19:] = [0, 0, 255, 255]
    found = decode(saved(Image.fromarray(values)), 10).astype(int)
    # between white and blue, red and green are alike
    np.testing.assert_array_equal(found[..., 0], found[..., 1])


@pytest.mark.parametrize(
    "image", [gradient().convert("P"), gradient().convert("L"), gradient().convert("RGB")], ids=lambda i: i.mode
)
def test_a_colour_that_is_declared_transparent_is_white(image):
    image.paste(image.getpixel((30, 20)), (0, 0, 60, 40))
    assert (decode(saved(image, transparency=image.getpixel((0, 0))), 8) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_is_turned_as_its_exif_says(orientation, file_format):
    upright = gradient(61, 40)
    exif = Image.Exif()
    exif[0x0112] = orientation
    # the camera has stored it the other way round
    undo = {6: 8, 8: 6}.get(orientation, orientation)
    stored = upright.transpose(TURNED[undo]) if undo in TURNED else upright
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(file_format, {})
    found = decode(saved(stored, file_format, exif=exif, **options), 16)
    assert_close(found, decode(saved(upright), 16).astype(int), 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_description_of_the_orientation_is_no_obstacle():
    content = saved(gradient(), "JPEG", quality=95, exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert_close(decode(content, 16), plain(gradient()), 8)


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(file_format):
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    content = saved(frames[0], file_format, save_all=True, append_images=frames[1:])
    assert_close(decode(content, 8), np.full((8, 8, 3), [255, 0, 0]), 4)


def test_a_large_photograph_is_what_it_would_be_in_full():
    """Also where JPEG is read at a part of its size."""
    image = gradient(1200, 900)
    assert_close(decode(saved(image, "JPEG", quality=95), 32), plain(image, 32), 6)


def test_a_small_picture_is_enlarged():
    assert decode(saved(gradient(3, 2)), 16).shape == (16, 16, 3)
    assert (decode(saved(Image.new("RGB", (1, 1), "red")), 8) == [255, 0, 0]).all()


PNG = saved(gradient())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"image,label\n", "not a picture in a format that is read here"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture in a format that is read here"),
        (PNG[: len(PNG) // 2], "truncated"),
        (saved(gradient(), "JPEG")[:700], "truncated"),
        (saved(gradient(), "JPEG")[:100], "."),
        (saved(Image.fromarray(np.ones((8, 8), dtype=np.float32)), "TIFF"), "floating-point numbers"),
        (saved(Image.fromarray(np.full((8, 8), 2**31 - 1, dtype=np.int32)), "TIFF"), "integers of 32 bits"),
        (saved(gradient(), "TIFF")[:-4000], "."),
        (PNG[:30] + b"\xff" * 40 + PNG[70:], "."),
    ],
)
def test_what_is_no_picture_is_refused(content, reason):
    with pytest.raises(UndecodableError, match=reason) as error:
        decode(content, 16)
    # the same text each time, and one line
    assert "0x" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(pictures, "MOST_PIXELS", 2000)
    with pytest.raises(UndecodableError, match=r"60 x 40, more than 89 million pixels; make it smaller"):
        decode(PNG, 16)


@pytest.mark.parametrize("limit", [800, 1600])
def test_pillows_own_words_on_pictures_of_too_many_pixels_reach_nobody(monkeypatch, limit):
    """It has an error for those with more than twice its limit, and a warning, an error in tests, for others."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UndecodableError, match=r"^more than 89 million pixels; make it smaller$"):
        decode(PNG, 16)


def test_pictures_in_memory_at_once_have_no_more_pixels_together_than_one_may_have(monkeypatch):
    at_once, most = [], []

    def square(image, *_):
        at_once.append(image.width * image.height)
        most.append(sum(at_once))
        time.sleep(0.005)
        at_once.pop()
        raise OSError

    def refused(content):
        with pytest.raises(UndecodableError):
            decode(content, 16)

    monkeypatch.setattr(pictures, "MOST_PIXELS", 5000)
    monkeypatch.setattr(pictures, "_square", square)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(refused, [PNG] * 8))
    # two of 60 x 40; what could not be decoded is in the way of no other
    assert max(most) == 4800
    refused(saved(gradient(100, 50)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("file_format", FORMATS)
def test_bytes_at_random_places_of_a_file_never_raise_another_error(file_format):
    """Pillow's decoders have errors of many classes for damaged files."""
    rng = np.random.default_rng(0)
    content = saved(gradient(), file_format)
    refused = 0
    for _ in range(40):
        damaged = bytearray(content)
        for place in rng.integers(0, min(len(content), 400), 4):
            damaged[place] = rng.integers(256)
        try:
            assert decode(bytes(damaged), 8).shape == (8, 8, 3)
        except UndecodableError:
            refused += 1
    assert refused
