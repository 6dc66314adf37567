"""The Fréchet distance against closed forms, against torchmetrics, and in batches and processes."""

import math

import pytest
import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.features import FrechetMeter, Moments, SmallFeatures, Vectors, frechet_distance, real_against_real


def normal(mean: Tensor, root: Tensor, n: int, seed: int) -> Tensor:
    """Draws [n, F] of N(mean, root root')."""
    noise = torch.randn(n, len(mean), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return mean + noise @ root.T


def exactly(mean: Tensor, root: Tensor, n: int = 50) -> Tensor:
    """Points whose sample mean and covariance are `mean` and root root' but for rounding."""
    noise = normal(torch.zeros_like(mean), torch.eye(len(mean), dtype=mean.dtype), n, seed=0)
    noise = noise - noise.mean(dim=0)
    white = noise @ torch.linalg.inv(torch.linalg.cholesky(noise.T @ noise / (n - 1))).T
    return mean + white @ root.T


def test_two_gaussians_in_closed_form() -> None:
    """Diagonal covariances commute: |m - m'|^2 + sum (s - s')^2."""
    mean1, mean2 = torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([0.0, 1.0, 0.5]).double()
    scales1, scales2 = torch.tensor([1.0, 2.0, 0.1]).double(), torch.tensor([3.0, 0.5, 0.4]).double()
    found = frechet_distance(
        Moments.of(exactly(mean1, scales1.diag())), Moments.of(exactly(mean2, scales2.diag(), n=70))
    )
    expected = float((mean1 - mean2).square().sum() + (scales1 - scales2).square().sum())
    assert found == pytest.approx(expected, abs=1e-10)


def test_covariances_that_do_not_commute_as_torchmetrics_has_them() -> None:
    from torchmetrics.image.fid import _compute_fid

    generator = torch.Generator().manual_seed(3)
    roots = torch.randn(2, 6, 6, generator=generator, dtype=torch.float64)
    means = torch.randn(2, 6, generator=generator, dtype=torch.float64)
    one, other = (Moments.of(normal(mean, root, 500, 1)) for mean, root in zip(means, roots, strict=True))
    (mean1, covariance1), (mean2, covariance2) = one.mean_and_covariance(), other.mean_and_covariance()
    expected = float(_compute_fid(mean1, covariance1, mean2, covariance2))
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(other, one) == pytest.approx(expected, rel=1e-8)


def test_moments_are_those_of_numpy_in_any_batches() -> None:
    x = normal(torch.tensor([100.0, -50.0]).double(), torch.tensor([[1.0, 0.0], [0.7, 0.2]]).double(), 101, 2).float()
    parts = Moments(2)
    for batch in x.split(17):
        parts.add(batch)
    mean, covariance = parts.mean_and_covariance()
    torch.testing.assert_close(mean, x.double().mean(dim=0))
    torch.testing.assert_close(covariance, x.double().T.cov(), rtol=1e-6, atol=1e-9)
    halves = Moments.of(x[:40]) + Moments.of(x[40:])
    torch.testing.assert_close(halves.sums, parts.sums)


def test_zero_for_the_same_set_also_where_the_covariance_is_singular() -> None:
    x = normal(torch.full((20,), 5.0).double(), torch.eye(20).double() * 10, 12, 0)  # fewer examples than features
    assert frechet_distance(Moments.of(x), Moments.of(x[torch.randperm(12)])) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(Moments.of(x), Moments.of(x + 1)) == pytest.approx(20, abs=1e-5)


def test_moves_and_turns_of_both_sets_change_nothing() -> None:
    x, y = torch.randn(2, 300, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = y * torch.tensor([1.0, 2.0, 0.5, 1.0]) + 0.3
    turn = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1)).double()).Q
    before = frechet_distance(Moments.of(x), Moments.of(y))
    assert frechet_distance(Moments.of(x @ turn + 7), Moments.of(y @ turn + 7)) == pytest.approx(before, rel=1e-8)
    assert frechet_distance(Moments.of(x * 3), Moments.of(y * 3)) == pytest.approx(9 * before, rel=1e-8)


def test_real_against_real_is_the_noise_of_a_perfect_model() -> None:
    """Of two samples of n of one normal in F dimensions: 2 F / n of the means, F (F + 1) / (2 n) of the covariances."""
    features = normal(torch.zeros(8).double(), torch.eye(8).double(), 4000, 0)
    found = [real_against_real(features, 500, seed) for seed in range(20)]
    expected = 8 * 2 / 500 + 8 * 9 / (2 * 500)
    assert sum(found) / 20 == pytest.approx(expected, rel=0.2)
    assert real_against_real(features, 2000) < min(found)
    assert real_against_real(features, 500, 3) == found[3]


def test_too_few_and_diverged() -> None:
    with pytest.raises(UserError, match="two examples at least"):
        frechet_distance(Moments.of(torch.zeros(1, 3)), Moments.of(torch.randn(5, 3)))
    with pytest.raises(UserError, match="not all finite"):
        frechet_distance(Moments.of(torch.full((4, 3), math.inf)), Moments.of(torch.randn(5, 3)))


def test_a_meter_of_vectors_in_processes() -> None:
    x, y = torch.randn(2, 90, 3, generator=torch.Generator().manual_seed(5))
    y = y * 2
    whole, meters = FrechetMeter(Vectors(3), None), [FrechetMeter(Vectors(3), None) for _ in range(2)]
    for batch in x.split(30):
        whole.add_real(batch)
    whole.add_generated(y)
    for rank, meter in enumerate(meters):
        meter.add_real(x[rank::2])
        meter.add_generated(y[rank::2])
    for mine, its in zip(meters[0].sums(), meters[1].sums(), strict=True):
        mine += its  # as an all-reduce
    expected = frechet_distance(Moments.of(x), Moments.of(y))
    assert whole.distance() == pytest.approx(expected)
    assert meters[0].distance() == pytest.approx(expected)
    halves = frechet_distance(Moments.of(x[::2]), Moments.of(x[1::2]))
    assert whole.real_against_real() == pytest.approx(halves)
    whole.reset()
    with pytest.raises(UserError, match="two examples"):
        whole.distance()


@pytest.mark.parametrize(("channels", "side", "levels"), [(1, 8, 2), (1, 28, 256), (3, 8, 32), (3, 40, 17)])
def test_a_meter_of_images(channels: int, side: int, levels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(levels, (40, channels, side, side), generator=generator, dtype=torch.uint8)
    dark = x // 2
    meter = FrechetMeter(SmallFeatures.pretrained(channels), levels)
    meter.add_real(x)
    meter.add_generated(x.flip(0))
    assert meter.distance() == pytest.approx(0, abs=1e-4)
    meter.add_generated(dark)
    assert meter.distance() > 10 * meter.real_against_real() or meter.distance() > 0.01


def test_a_meter_sees_the_full_range_of_grey_whatever_the_levels() -> None:
    generator = torch.Generator().manual_seed(0)
    binary = torch.randint(2, (64, 1, 16, 16), generator=generator, dtype=torch.uint8)
    one, other = (FrechetMeter(SmallFeatures.pretrained(1), levels) for levels in (2, 256))
    for meter, x in ((one, binary), (other, binary * 255)):
        meter.add_real(x)
    torch.testing.assert_close(one.sums(), other.sums())


def test_autocast_around_a_meter_changes_nothing() -> None:
    x = torch.randint(256, (20, 1, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    plain, inside = (FrechetMeter(SmallFeatures.pretrained(1), 256) for _ in range(2))
    plain.add_real(x)
    with torch.autocast("cpu", torch.bfloat16):
        inside.add_real(x)
    torch.testing.assert_close(inside.sums(), plain.sums(), rtol=0, atol=0)
