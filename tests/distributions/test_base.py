"""Base densities and dequantisation against independent definitions."""

import math

import scipy.stats
import torch

from genmodels.distributions import StandardLogistic, StandardNormal, UniformDequantization


def test_densities_equal_scipy() -> None:
    z = torch.randn(7, 3, 2, dtype=torch.float64) * 4
    for base, reference in (
        (StandardNormal((3, 2)), scipy.stats.norm),
        (StandardLogistic((3, 2)), scipy.stats.logistic),
    ):
        expected = torch.tensor(reference.logpdf(z.numpy()).sum(axis=(1, 2)))
        torch.testing.assert_close(base.log_prob(z), expected)


def test_samples_follow_the_density() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    torch.manual_seed(0)
    for base, reference in ((StandardNormal((4,)), scipy.stats.norm), (StandardLogistic((4,)), scipy.stats.logistic)):
        samples = base.sample(2000, like).flatten().numpy()
        assert scipy.stats.kstest(samples, reference.cdf).pvalue > 1e-3


def test_uniform_noise_fills_the_cell_and_is_undone() -> None:
    torch.manual_seed(0)
    dequantization = UniformDequantization(17)
    x = torch.randint(0, 17, (50, 1, 8, 8), dtype=torch.uint8)
    v, log_weight = dequantization(x, torch.float64)
    u = v * 17 - x
    assert scipy.stats.kstest(u.flatten().numpy(), "uniform").pvalue > 1e-3
    assert torch.equal(dequantization.quantize(v), x)
    assert torch.equal(dequantization.quantize(dequantization.centre(x, torch.float64)), x)
    torch.testing.assert_close(log_weight, torch.full((50,), -64 * math.log(17), dtype=torch.float64))


def test_values_outside_the_image_go_to_the_nearest_level() -> None:
    dequantization = UniformDequantization(256)
    assert dequantization.quantize(torch.tensor([-0.3, 0.0, 1.0, 7.0])).tolist() == [0, 0, 255, 255]
