"""Pictures of every mode and depth, as a file of that kind holds them, against the grey or colour they stand for."""

import itertools
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_files import write_celeba, write_imagenet_old

from genmodels.data.colours import in_colours
from genmodels.data.examples import ImageFiles
from genmodels.data.source import Options
from genmodels.data.sources import source_for
from genmodels.data.sources.image_folder import CentreCrop
from genmodels.errors import UserError

GREYS = np.array([[0, 128, 129, 385, 386, 32767, 32768, 65535]], dtype=np.uint16)
EIGHT_BITS = [0, 0, 1, 1, 2, 127, 128, 255]  # value / 257, rounded

# By Pillow's name, what a pixel holds, and the colour it stands for on white; from the definitions of the modes.
PIXELS = {
    "1": (255, (255, 255, 255)),
    "L": (77, (77, 77, 77)),
    "LA": ((100, 128), (177, 177, 177)),  # 255 - (255 - 100) * 128 / 255
    "La": ((50, 128), (177, 177, 177)),  # premultiplied: 50 + (255 - 128)
    "RGB": ((200, 60, 30), (200, 60, 30)),
    "RGBX": ((200, 60, 30, 0), (200, 60, 30)),
    "RGBA": ((200, 60, 30, 0), (255, 255, 255)),
    "RGBa": ((100, 30, 15, 128), (227, 157, 142)),
    "CMYK": ((55, 195, 225, 0), (200, 60, 30)),
    "YCbCr": ((98, 90, 201), (200, 60, 30)),
    "HSV": ((7, 217, 200), (200, 60, 30)),
    "LAB": ((255, 128, 128), (255, 255, 255)),  # L* = 100: white
}


@pytest.mark.parametrize("mode", PIXELS)
def test_every_mode_stands_for_its_colour(mode: str) -> None:
    pixel, colour = PIXELS[mode]
    picture = Image.new(mode, (3, 2), pixel)
    rgb = np.array(in_colours(picture, "RGB")).astype(int)
    assert rgb.shape == (2, 3, 3)
    assert np.abs(rgb - colour).max() <= 3  # YCbCr and HSV round
    grey = np.array(in_colours(picture, "L")).astype(int)
    assert np.abs(grey - np.dot(colour, (0.299, 0.587, 0.114))).max() <= 3


def test_grey_l_a_b_is_between_black_and_white() -> None:
    """L* = 50 is 18.4 % of white's light, which sRGB writes as 119."""
    picture = Image.new("LAB", (1, 1), (128, 128, 128))
    assert np.abs(np.array(in_colours(picture, "RGB")).astype(int) - 119).max() <= 3


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_16_bits_become_8(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    Image.fromarray(GREYS).save(path)
    with Image.open(path) as picture:
        assert np.array(in_colours(picture, "L")).tolist() == [EIGHT_BITS]
    with Image.open(path) as picture:
        assert np.array(in_colours(picture, "RGB")).tolist() == [[[value] * 3 for value in EIGHT_BITS]]


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I;16N"])
def test_16_bits_in_either_order_of_bytes(mode: str) -> None:
    order = ">u2" if mode == "I;16B" else "<u2"
    picture = Image.frombytes(mode, GREYS.shape[::-1], GREYS.astype(order).tobytes())
    assert np.array(in_colours(picture, "L")).tolist() == [EIGHT_BITS]


def _tiff(path: Path, data: bytes, width: int, bits: int, photometric: int) -> None:
    """One row of grey pixels, uncompressed, written by the specification."""
    tags = [(256, width), (257, 1), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, 1)]
    tags += [(279, len(data))]
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    start = 8 + len(data) + len(data) % 2
    body = struct.pack("<2sHI", b"II", 42, start) + data + b"\0" * (len(data) % 2)
    path.write_bytes(body + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0")


@pytest.mark.parametrize(
    ("bits", "photometric", "data", "expected"),
    [
        (16, 1, struct.pack("<3H", 0, 32768, 65535), [0, 128, 255]),
        (16, 0, struct.pack("<3H", 0, 32768, 65535), [255, 127, 0]),  # white is zero
        (8, 0, bytes([0, 128, 255]), [255, 127, 0]),
        (12, 1, bytes([0x00, 0x08, 0x00, 0xFF, 0xF0]), [0, 128, 255]),  # 0, 2048 and 4095, one after the other
    ],
)
def test_tiffs_say_what_is_white(tmp_path: Path, bits: int, photometric: int, data: bytes, expected) -> None:
    _tiff(tmp_path / "a.tif", data, 3, bits, photometric)
    with Image.open(tmp_path / "a.tif") as picture:
        assert np.array(in_colours(picture, "L")).tolist() == [expected]


def _png(path: Path, bits: int, kind: int, row: bytes, width: int, *chunks: tuple[bytes, bytes]) -> None:
    """One row of pixels, written by the specification."""
    head = width.to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes([bits, kind, 0, 0, 0])
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    body = (len(d).to_bytes(4, "big") + n + d + zlib.crc32(n + d).to_bytes(4, "big") for n, d in parts)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(body))


def test_transparent_pixels_of_every_png_show_white(tmp_path: Path) -> None:
    """A grey, colour or palette picture names its transparent colour; the others have an alpha channel."""
    path = tmp_path / "a.png"
    palette = (b"PLTE", bytes([10, 20, 30, 40, 50, 60])), (b"tRNS", b"\x00\xff")
    cases = [
        ((8, 0, bytes([7, 9]), 2, (b"tRNS", b"\0\x07")), [(255,) * 3, (9,) * 3]),
        ((16, 0, b"\x01\x01\x02\x02", 2, (b"tRNS", b"\x01\x01")), [(255,) * 3, (2,) * 3]),
        ((8, 2, bytes([1, 2, 3, 4, 5, 6]), 2, (b"tRNS", b"\0\x01\0\x02\0\x03")), [(255,) * 3, (4, 5, 6)]),
        ((8, 3, bytes([0, 1]), 2, *palette), [(255,) * 3, (40, 50, 60)]),
        ((8, 4, bytes([7, 0, 9, 255]), 2), [(255,) * 3, (9,) * 3]),
        ((16, 4, b"\x07\x07\0\0\x09\x09\xff\xff", 2), [(255,) * 3, (9,) * 3]),
        ((8, 6, bytes([1, 2, 3, 0, 4, 5, 6, 255]), 2), [(255,) * 3, (4, 5, 6)]),
        ((16, 2, bytes(itertools.chain(*zip(range(1, 7), range(1, 7), strict=True))), 2), [(1, 2, 3), (4, 5, 6)]),
        ((1, 0, b"\x40", 2), [(0,) * 3, (255,) * 3]),
        ((2, 0, b"\x10", 2), [(0,) * 3, (85,) * 3]),
        ((4, 0, b"\x0f", 2), [(0,) * 3, (255,) * 3]),
    ]
    for picture, expected in cases:
        _png(path, *picture)
        with Image.open(path) as opened:
            assert np.array(in_colours(opened, "RGB"))[0].tolist() == [list(pixel) for pixel in expected], picture


@pytest.mark.parametrize(("mode", "ending"), [("I", "tif"), ("F", "tif")])
def test_pictures_without_a_known_range_are_refused_by_name(tmp_path: Path, mode: str, ending: str) -> None:
    Image.new(mode, (9, 9), 1).save(tmp_path / f"a.{ending}")
    store = ImageFiles(str(tmp_path), [f"a.{ending}"], CentreCrop((4, 4), 1))
    with pytest.raises(
        UserError, match=rf"picture .*/a.{ending} cannot be read \(.*mode {mode}, nobody says .*16 bits"
    ):
        store[torch.tensor([0])]


def test_folders_of_16_bit_pictures_are_not_white(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    for number in range(4):
        Image.fromarray(ramp).save(tmp_path / f"{number}.png")
    examples = source_for(Options("image_folder", tmp_path)).read("train")
    assert abs(float(examples[torch.arange(1)][0].float().mean()) - 127.5) < 1


def test_other_sets_of_picture_files_scale_16_bits_too(tmp_path: Path) -> None:
    write_celeba(tmp_path)
    for path in (tmp_path / "celeba" / "img_align_celeba").iterdir():
        Image.fromarray(np.full((218, 178), 25700, np.uint16)).save(path, "PNG")
    write_imagenet_old(tmp_path, 32)
    for path in (tmp_path / "imagenet32_old" / "train_32x32").iterdir():
        Image.fromarray(np.full((32, 32), 25700, np.uint16)).save(path)
    for name, options in (("celeba", {}), ("imagenet32_old", {"variant": "old"})):
        x, _ = source_for(Options(name, tmp_path, **options)).read("train")[torch.arange(2)]
        assert set(x.unique().tolist()) == {100}, name


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_pictures_are_turned_as_the_camera_was_held(tmp_path: Path, ending: str) -> None:
    pixels = np.zeros((40, 40), np.uint16)
    pixels[:20] = 65535  # stored with white above; turned by 180 degrees white is below
    exif = Image.Exif()
    exif[0x112] = 3
    picture = Image.fromarray(pixels) if ending != "jpg" else Image.fromarray((pixels // 257).astype(np.uint8))
    picture.save(tmp_path / f"a.{ending}", exif=exif)
    x = ImageFiles(str(tmp_path), [f"a.{ending}"], CentreCrop((4, 4), 1))[torch.tensor([0])][0, 0]
    assert x[0].max() < 60 < 200 < x[3].min()
