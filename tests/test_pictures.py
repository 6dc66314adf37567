from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genmodels.pictures import class_columns, save_animation, save_grid, save_scatter


def test_grid_places_and_scales_every_image(tmp_path: Path) -> None:
    """Three 8x8 images of 17 levels in two columns: tiles of 64 pixels, 2 pixels apart."""
    images = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    images[1, 0, 2, 5] = 16
    images[2] = 8
    save_grid(images, 17, tmp_path / "new" / "grid.png", columns=2)
    picture = np.asarray(Image.open(tmp_path / "new" / "grid.png"))
    assert picture.shape == (130, 130)
    assert (picture[:64, :64] == 0).all()
    second = np.zeros((64, 64))
    second[16:24, 40:48] = 255
    assert (picture[:64, 66:] == second).all()
    assert (picture[66:, :64] == 128).all()
    assert (picture[66:, 66:] == 255).all()


def test_colours_keep_their_channels(tmp_path: Path) -> None:
    images = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    images[0, 0], images[0, 2] = 255, 100
    save_grid(images, 256, tmp_path / "grid.png")
    picture = np.asarray(Image.open(tmp_path / "grid.png"))
    assert picture.shape == (64, 64, 3)
    assert (picture == [255, 0, 100]).all()


@pytest.mark.parametrize(("n", "columns", "shape"), [(64, None, (8, 8)), (10, None, (3, 4)), (3, 8, (1, 3))])
def test_grid_shape(n: int, columns: int | None, shape: tuple[int, int], tmp_path: Path) -> None:
    save_grid(torch.zeros(n, 1, 64, 64, dtype=torch.uint8), 2, tmp_path / "grid.png", columns)
    width, height = Image.open(tmp_path / "grid.png").size
    assert (height, width) == tuple(64 * k + 2 * (k - 1) for k in shape)


def test_density_is_shown_beside_the_points_where_it_is(tmp_path: Path) -> None:
    """A narrow normal density at (2, -1) of a panel that spans [-4, 4]: at 6/8 from the left, 5/8 from the top."""
    normal = torch.distributions.Normal(torch.tensor([2.0, -1.0]), 0.3)
    save_scatter(torch.zeros(1, 2), tmp_path / "both.png", lambda x: normal.log_prob(x).sum(dim=1))
    right = np.asarray(Image.open(tmp_path / "both.png").convert("RGB")).astype(int)[:, 450:]
    purple = (abs(right - [68, 1, 84]) < 12).all(axis=2)  # nought
    yellow = (right[..., 0] > 200) & (right[..., 1] > 200) & (right[..., 2] < 100)  # the highest
    rows, columns = (np.flatnonzero(purple.any(axis=axis)) for axis in (1, 0))
    y, x = (where.mean() for where in yellow.nonzero())
    assert (x - columns[0]) / (columns[-1] - columns[0]) == pytest.approx(6 / 8, abs=0.02)
    assert (y - rows[0]) / (rows[-1] - rows[0]) == pytest.approx(5 / 8, abs=0.02)


def test_scatter_shows_where_the_points_are(tmp_path: Path) -> None:
    """A square from -3 to -1 on the left; half as far out it is half as large, and far out all of it is seen."""
    corners = torch.cartesian_prod(torch.tensor([-3.0, -1.0]), torch.tensor([-1.0, 1.0]))
    widths = []
    for factor in (1.0, 0.5, 100.0):
        save_scatter(factor * corners, tmp_path / "scatter.png")
        picture = np.asarray(Image.open(tmp_path / "scatter.png").convert("RGB")).astype(int)
        columns = np.flatnonzero((picture[..., 2] - picture[..., 0] > 60).any(axis=0))
        assert columns[-1] < picture.shape[1] // 2 + 20
        widths.append(columns[-1] - columns[0])
    assert widths[0] == pytest.approx(2 * widths[1], abs=6)
    assert widths[2] > widths[0]


@pytest.mark.parametrize(
    ("n", "classes", "columns"),
    [(64, 10, 10), (64, 3, 9), (64, 64, 64), (64, 1, 8), (16, 10, 10), (9, 10, None), (64, 0, None)],
)
def test_a_class_has_a_column_of_its_own(n: int, classes: int, columns: int | None) -> None:
    assert class_columns(n, classes) == columns


def _frames(path: Path) -> list[tuple[np.ndarray, int]]:
    """Pixels and milliseconds of each."""
    with Image.open(path) as gif:
        assert gif.format == "GIF"
        assert gif.info["loop"] == 0  # for ever
        found = []
        for index in range(gif.n_frames):  # type: ignore[attr-defined]
            gif.seek(index)
            found.append((np.asarray(gif.convert("RGB")), gif.info["duration"]))
    return found


def test_an_animation_shows_the_pictures_and_holds_the_last(tmp_path: Path) -> None:
    pictures = [tmp_path / f"{value}.png" for value in (0, 100, 200)]
    for picture, value in zip(pictures, (0, 100, 200), strict=True):
        colour = torch.tensor([value, 50, 255 - value], dtype=torch.uint8)
        save_grid(colour[None, :, None, None].expand(1, 3, 64, 64), 256, picture)
    save_animation(pictures, tmp_path / "all.gif")
    frames = _frames(tmp_path / "all.gif")
    assert [time for _, time in frames] == [200, 200, 3000]
    for (pixels, _), value in zip(frames, (0, 100, 200), strict=True):
        assert pixels.shape == (64, 64, 3)
        assert (abs(pixels.astype(int) - [value, 50, 255 - value]) <= 4).all()


def test_an_animation_keeps_its_size(tmp_path: Path) -> None:
    """Of 100 large pictures 40, from the first to the last; one of another size is left out."""
    pictures = []
    for index in range(100):
        pictures.append(tmp_path / f"{index:03d}.png")
        size = (960, 480) if index else (480, 480)
        Image.new("L", size, 2 * index).save(pictures[-1])
    save_animation(pictures[1:], tmp_path / "most.gif")
    frames = [pixels for pixels, _ in _frames(tmp_path / "most.gif")]
    assert len(frames) == 40
    assert {frame.shape for frame in frames} == {(240, 480, 3)}
    shades = [frame[0, 0, 0] for frame in frames]
    assert (shades[0], shades[-1]) == (2, 198)
    assert (np.diff(shades) >= 4).all()
    save_animation(pictures[:3], tmp_path / "two.gif")
    assert [pixels[0, 0, 0] for pixels, _ in _frames(tmp_path / "two.gif")] == [2, 4]
