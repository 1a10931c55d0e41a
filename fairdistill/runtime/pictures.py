"""Pictures as cameras, scanners and the web have them become square RGB images of 8 bits a channel.

- A picture is turned as its EXIF orientation says, and the whole of it, or its central square, is resized by Pillow's
  bilinear filter, which is antialiased.
- What is transparent is laid onto white. Of 16 bits a channel the upper 8 are kept. Of an animation or of several pages
  the first is taken. Colour profiles are ignored.

Only formats of photographs and drawings are read: others, such as EPS, would start further programs.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from threading import Condition
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TGA", "TIFF", "WEBP")
# formats whose integers have 16 bits at most, of which Pillow, some releases of it for PNG, makes those of 32
OF_16_BITS = ("PNG", "PPM")
ORIENTATION = 0x0112  # of EXIF
TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
MOST_PIXELS = 89_000_000
# Pillow warns of pictures with a few more, and raises an error for those with twice as many, as they could be meant to
# fill the memory. Both are refused here in words that say what to do.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
TOO_LARGE = f"more than {MOST_PIXELS // 10**6} million pixels; make it smaller"


class UndecodableError(Exception):
    """A file that is no picture, or a damaged one; the message says what is wrong with it."""


class _InMemory:
    """The pixels of the pictures that all threads have in memory: no more at once than one picture may have.

    A pixel takes up to 20 bytes while a picture is decoded and resized (measured: JPEG2000 20; with transparency WebP
    16, AVIF 12, PNG 8), so all of them take 1.8 GB at most.
    """

    def __init__(self) -> None:
        self._pixels = 0
        self._changed = Condition()

    @contextmanager
    def having(self, pixels: int) -> Iterator[None]:
        """Wait until there is room for so many more, and keep it in the `with` block."""
        with self._changed:
            self._changed.wait_for(lambda: self._pixels + pixels <= MOST_PIXELS)
            self._pixels += pixels
        try:
            yield
        finally:
            with self._changed:
                self._pixels -= pixels
                self._changed.notify_all()


_IN_MEMORY = _InMemory()


def decode(content: bytes, size: int, framing: Literal["stretch", "centre"] = "centre") -> NDArray[np.uint8]:
    """Return a picture as a square image.

    Parameters
    ----------
    content
        What the picture's file holds.
    size
        The edge of the image, in pixels.
    framing
        What becomes the square: the whole picture (`stretch`), or its central square (`centre`).

    Returns
    -------
    uint8 (size, size, 3)

    Raises
    ------
    UndecodableError
        It is no picture in one of `FORMATS`, is damaged or cut short, or has more than `MOST_PIXELS`.
    """
    if not content:
        raise UndecodableError("the file is empty")
    Image.init()
    try:
        image = Image.open(BytesIO(content), formats=[name for name in FORMATS if name in Image.OPEN])
    except Image.UnidentifiedImageError:
        raise UndecodableError("not a picture in a format that is read here") from None
    except _BOMBS:
        raise UndecodableError(TOO_LARGE) from None
    except Exception as error:  # Pillow lets through whatever its plugins and their libraries raise for damaged files
        raise UndecodableError(_reason(error)) from error
    with image:
        pixels = image.width * image.height
        if pixels > MOST_PIXELS:
            raise UndecodableError(f"{image.width} x {image.height}, {TOO_LARGE}")
        with _IN_MEMORY.having(pixels):
            try:
                return _square(image, size, framing)
            except _BOMBS:
                # a part of it that says another size than its header
                raise UndecodableError(TOO_LARGE) from None
            except Exception as error:  # as above
                raise UndecodableError(_reason(error)) from error


def _square(image: Image.Image, size: int, framing: str) -> NDArray[np.uint8]:
    # a JPEG is read at a half, a quarter or an eighth of its size, as long as twice the wanted size is left
    image.draft(None, (2 * size, 2 * size))
    image.load()
    # after loading, as Pillow turns a TIFF by itself then
    orientation = _orientation(image)
    eight_bits = _of_eight_bits(image)
    width, height = eight_bits.size
    seen_width, seen_height = (width, height) if framing == "stretch" else [min(width, height)] * 2
    left, top = (width - seen_width) / 2, (height - seen_height) / 2
    square = eight_bits.resize(
        (size, size), Image.Resampling.BILINEAR, box=(left, top, left + seen_width, top + seen_height), reducing_gap=3.0
    )
    if orientation in TURNED:
        square = square.transpose(TURNED[orientation])
    if square.mode == "RGBA":
        square = Image.alpha_composite(Image.new("RGBA", square.size, "white"), square)
    return np.asarray(square.convert("RGB"))


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:
        # a damaged description of a picture that is whole
        return 1


def _of_eight_bits(image: Image.Image) -> Image.Image:
    """The picture as "L", "RGB" or, where some of it is transparent, "RGBA"."""
    if image.mode == "I" and image.format not in OF_16_BITS:
        raise ValueError(
            "its pixels are integers of 32 bits, or with a sign, which have no known white; save it with 8 or 16 bits"
        )
    if image.mode.startswith("I"):
        return Image.fromarray((np.clip(np.asarray(image), 0, 2**16 - 1) >> 8).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, which have no known white; save it with 8 or 16 bits")
    if image.has_transparency_data:
        # of a picture that is in this mode already, it would make a copy
        return image if image.mode == "RGBA" else image.convert("RGBA")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
