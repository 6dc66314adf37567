"""Pictures of every mode and depth as 8 bits of grey or colour, or refused."""

import contextlib
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import Literal

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

Colours = Literal["L", "RGB"]

UNREADABLE = (
    *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, struct.error, zlib.error),
    *(MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning, ImageCms.PyCMSError),
)
"""What Pillow raises on damaged files, and `in_colours` and `refusing_bombs` on others that are of no use."""

_OF_8_BITS = frozenset(
    ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"),
)
_OF_16_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_OF_16_BITS_IN_32 = frozenset({"PNG", "PPM"})  # formats whose mode I is 16 bits wide
_BACKGROUND = 255
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # of TIFF


def in_colours(picture: Image.Image, colours: Colours) -> Image.Image:
    """The picture in grey ("L") or colour ("RGB"), 8 bits a channel.

    16 bits become 8 by value / 257, rounded (Pillow's own conversion clips them: all but the darkest turn white); of
    colours in 16 bits Pillow gives the upper 8. What is transparent shows a white background. CIE L*a*b* is taken as
    D50 and becomes sRGB.

    Raises:
        ValueError: the pixels are 32-bit integers or floats, of which nobody says what is black and white, or of a
            mode that is not known here.
    """
    check_colours(picture)
    if picture.mode == "I" or picture.mode in _OF_16_BITS:
        return _of_16_bits(picture).convert(colours)
    if picture.mode == "LAB":
        return ImageCms.applyTransform(picture, _lab_to_srgb()).convert(colours)  # type: ignore[union-attr]
    if picture.mode in ("La", "RGBa"):
        picture = picture.convert({"La": "LA", "RGBa": "RGBA"}[picture.mode])
    if picture.has_transparency_data:
        return _on_background(picture.convert("RGBA")).convert(colours)
    return (picture.convert("RGB") if picture.mode == "HSV" else picture).convert(colours)


def check_colours(picture: Image.Image) -> None:
    """Raise ValueError as `in_colours` would; the pixels are not looked at."""
    if picture.mode in _OF_16_BITS or (picture.mode == "I" and picture.format in _OF_16_BITS_IN_32):
        return
    if picture.mode not in _OF_8_BITS:
        raise ValueError(
            f"of its pixels, Pillow's mode {picture.mode}, nobody says which are black and white; "
            "save it with 8 or 16 bits a channel"
        )


def _of_16_bits(picture: Image.Image) -> Image.Image:
    values = np.array(picture).astype(np.uint32)
    tags = getattr(picture, "tag_v2", {})
    bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
    highest = 2**bits - 1  # 12-bit TIFFs are not stretched by Pillow
    grey = (255 * values + highest // 2) // highest
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = 255 - grey
    transparent = picture.info.get("transparency")
    if transparent is not None:
        grey[values == transparent] = _BACKGROUND
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8))


def _on_background(picture: Image.Image) -> Image.Image:
    background = Image.new("RGBA", picture.size, (_BACKGROUND,) * 3)
    return Image.alpha_composite(background, picture)


def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


@contextlib.contextmanager
def refusing_bombs() -> Iterator[None]:
    """Let Pillow refuse pictures of more pixels than `Image.MAX_IMAGE_PIXELS`, of which it would only warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def why(error: BaseException) -> str:
    """In a few words on one line, what keeps a picture from being read."""
    if isinstance(error, MemoryError | Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"it has more than the {Image.MAX_IMAGE_PIXELS or 0:,} pixels that are read; scale it down"
    if isinstance(error, UnidentifiedImageError):
        return "it is no picture"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
