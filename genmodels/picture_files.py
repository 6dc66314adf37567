"""Opening pictures that somebody else may have made."""

from pathlib import Path

from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF")


def open_picture(path: str | Path) -> Image.Image:
    """The picture, whose pixels are not read yet.

    Pillow goes by the content: whatever its name, of a file in another format it would start other programs
    (PostScript, for which it calls Ghostscript) or decoders that hardly anybody looks at.

    Raises:
        PIL.UnidentifiedImageError: it is in none of `FORMATS`.
        PIL.Image.DecompressionBombError: it has more than `Image.MAX_IMAGE_PIXELS`, of which Pillow only warns up to
            twice as many.
    """
    picture = Image.open(path, formats=FORMATS)
    if Image.MAX_IMAGE_PIXELS is not None and picture.width * picture.height > Image.MAX_IMAGE_PIXELS:
        picture.close()
        raise Image.DecompressionBombError(f"{path} has more than {Image.MAX_IMAGE_PIXELS:,} pixels")
    return picture
