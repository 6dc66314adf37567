"""Points drawn by rejection have the density they are said to have."""

from pathlib import Path

import pytest
import torch

from genmodels.data.source import Options
from genmodels.data.sources import source_for
from genmodels.distributions.energies import BOX, ENERGIES, log_normalizer


def _points(name: str, part: str, split_seed: int = 0) -> torch.Tensor:
    x, y = source_for(Options(name, Path("unused"), split_seed=split_seed)).read(part)[torch.arange(10_000)]
    assert y is None
    return x


@pytest.mark.parametrize("name", ENERGIES)
def test_share_of_points_in_each_cell_is_the_mass_of_the_cell(name: str) -> None:
    """Cells of side 1; by chance the statistic lies within 5 deviations of its mean, the number of cells."""
    fine = 20
    side = torch.arange(-7 + 0.5 / fine, 7, 1 / fine, dtype=torch.float64)
    density = torch.exp(-ENERGIES[name](torch.cartesian_prod(side, side)) - log_normalizer(name)) / fine**2
    mass = density.view(14, fine, 14, fine).sum(dim=(1, 3))
    points = _points(name, "train")
    columns, rows = (points + 7).floor().long().unbind(dim=1)
    counts = torch.zeros(14, 14, dtype=torch.float64).index_put_((columns, rows), torch.tensor(1.0).double(), True)
    seen = mass * len(points) > 5
    expected = mass[seen] * len(points)
    statistic = ((counts[seen] - expected).square() / expected).sum()
    cells = int(seen.sum())
    assert cells > 15
    assert abs(float(statistic) - cells) < 5 * (2 * cells) ** 0.5
    assert counts[~seen].sum() < 0.01 * len(points)


def test_no_density_reaches_above_what_rejection_allows_or_beyond_the_box() -> None:
    axis = torch.linspace(-2 * BOX, 2 * BOX, 1301, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    outside = grid.abs().amax(dim=1) > BOX
    for name, energy in ENERGIES.items():
        density = torch.exp(-energy(grid))
        assert density.max() <= 2
        assert density[outside].sum() / density.sum() < 1e-9, name


def test_points_are_a_function_of_name_part_and_split_seed() -> None:
    assert torch.equal(_points("u2", "test"), _points("u2", "test"))
    assert not torch.equal(_points("u2", "test"), _points("u2", "train"))
    assert not torch.equal(_points("u2", "test"), _points("u2", "test", split_seed=1))
