from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genmodels.pictures import save_grid, save_scatter


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
    """Points on the left half only: the dots stay left of the middle."""
    points = torch.rand(500, 2) * torch.tensor([1.0, 4.0])
    points[0] = torch.tensor([4.0, 0.0])
    save_scatter(points, tmp_path / "scatter.png")
    picture = np.asarray(Image.open(tmp_path / "scatter.png").convert("RGB")).astype(int)
    blue = picture[..., 2] - picture[..., 0] > 60
    middle = picture.shape[1] // 2
    assert blue[:, :middle].sum() > 50 * blue[:, middle:].sum()
