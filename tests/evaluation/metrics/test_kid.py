"""The kernel distance: unbiased, with an error that is the spread of repeated measurements."""

import pytest
import torch
from drawing_toys import Replays, asked

from genmodels.errors import UserError
from genmodels.evaluation.metrics import KID, Figure


def measured(seed: int, shift: float, n: int = 200) -> Figure:
    x = torch.randn(2, n, 4, generator=torch.Generator().manual_seed(seed))
    return KID().measure(asked(Replays(x[0] + shift), x[1], num_samples=n, batch_size=n))


def whole(x: torch.Tensor, y: torch.Tensor) -> float:
    """The unbiased estimate from all pairs, by its definition."""

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a.double() @ b.double().T / a.shape[1] + 1) ** 3

    m, n = len(x), len(y)
    own = (kernel(x, x).sum() - kernel(x, x).diag().sum()) / (m * (m - 1))
    its = (kernel(y, y).sum() - kernel(y, y).diag().sum()) / (n * (n - 1))
    return float(own + its - 2 * kernel(x, y).mean())


def test_zero_in_the_mean_for_equal_distributions_within_its_error() -> None:
    figures = [measured(seed, shift=0.0) for seed in range(40)]
    means = torch.tensor([figure.mean for figure in figures])
    assert abs(float(means.mean())) < 4 * float(means.std()) / 40**0.5
    assert (means < 0).any()
    errors = torch.tensor([figure.standard_error or 0.0 for figure in figures])
    assert float(means.std()) < float(errors.mean())  # too large where the two are equal, never too small


def test_the_error_is_the_spread_where_distributions_differ() -> None:
    figures = [measured(seed, shift=1.0) for seed in range(80)]
    means = torch.tensor([figure.mean for figure in figures])
    errors = torch.tensor([figure.standard_error or 0.0 for figure in figures])
    assert float(errors.mean() / means.std()) == pytest.approx(1, abs=0.25)


def test_near_the_estimate_from_all_pairs() -> None:
    x = torch.randn(2, 300, 4, generator=torch.Generator().manual_seed(0))
    figure = KID().measure(asked(Replays(x[0] + 1), x[1], num_samples=300))
    assert figure.mean == pytest.approx(whole(x[0] + 1, x[1]), rel=0.1)
    assert (figure.protocol["subsets"], figure.protocol["subset_size"]) == (100, 150)
    assert KID().measure(asked(Replays(x[0] + 1), x[1], num_samples=300)).mean == figure.mean


def test_subsets_of_a_thousand_where_there_are_enough() -> None:
    x = torch.randn(2, 2500, 2, generator=torch.Generator().manual_seed(0))
    assert KID().measure(asked(Replays(x[0]), x[1], num_samples=2500)).protocol["subset_size"] == 1000
    with pytest.raises(UserError, match="four samples"):
        KID().measure(asked(Replays(x[0]), x[1, :3], num_samples=2500))
