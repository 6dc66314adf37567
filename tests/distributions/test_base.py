"""Base densities and dequantisation against independent definitions."""

import math
from typing import Any

import pytest
import scipy.stats
import torch

from genmodels.distributions import Base, MixtureMADE, StandardLogistic, StandardNormal, UniformDequantization
from genmodels.networks.made_net import MADENet


def test_densities_equal_scipy() -> None:
    z = torch.randn(7, 3, 2, dtype=torch.float64) * 4
    for base, reference in (
        (StandardNormal((3, 2)), scipy.stats.norm),
        (StandardLogistic((3, 2)), scipy.stats.logistic),
    ):
        expected = torch.tensor(reference.logpdf(z.numpy()).sum(axis=(1, 2)))
        torch.testing.assert_close(base.log_prob(z), expected)


def test_samples_follow_the_density() -> None:
    torch.manual_seed(0)
    for base, reference in ((StandardNormal((4,)), scipy.stats.norm), (StandardLogistic((4,)), scipy.stats.logistic)):
        samples = base.double().sample(2000).flatten().numpy()
        assert scipy.stats.kstest(samples, reference.cdf).pvalue > 1e-3


@pytest.mark.parametrize("base", [StandardNormal((4,)), StandardLogistic((4,))], ids=["normal", "logistic"])
def test_a_temperature_multiplies_the_scale(base: Base) -> None:
    torch.manual_seed(0)
    warm = base.sample(50)
    torch.manual_seed(0)
    assert torch.equal(base.sample(50, temperature=0.7), 0.7 * warm)


def _mixture() -> MixtureMADE:
    """One dimension: 0.2 N(-3, 1) + 0.8 N(2, 0.25), whatever it sees."""
    mixture = MixtureMADE((1,), MADENet(1, 6, [4]), num_components=2).double()
    with torch.no_grad():
        mixture.net.output_bias.copy_(torch.tensor([math.log(0.2), math.log(0.8), -3.0, 2.0, 0.0, math.log(0.25)]))
    return mixture.eval()


def test_a_temperature_sharpens_the_choice_of_a_component_and_its_width() -> None:
    torch.manual_seed(0)
    weight = 0.8**2 / (0.8**2 + 0.2**2)
    drawn = _mixture().sample(40000, temperature=0.5).detach()
    of_second = drawn > -1
    assert float(of_second.double().mean()) == pytest.approx(weight, abs=0.005)
    assert float(drawn[of_second].std()) == pytest.approx(0.25, rel=0.02)
    assert float(drawn[~of_second].std()) == pytest.approx(0.5, rel=0.06)


def test_at_temperature_nought_a_mixture_gives_the_mean_of_its_likeliest_component() -> None:
    assert torch.equal(_mixture().sample(3, temperature=0.0).detach(), torch.full((3, 1), 2.0, dtype=torch.float64))


@pytest.mark.parametrize("make", [lambda: StandardNormal((4,)), lambda: StandardLogistic((4,)), _mixture])
def test_draws_follow_the_module_to_a_type_and_a_device_and_leave_no_trace_in_its_state(make: Any) -> None:
    base = make()
    for dtype in (torch.float64, torch.float32):
        assert base.to(dtype).sample(2).dtype == dtype
    assert base.to("meta").like.device.type == "meta"
    assert "like" not in base.state_dict()
    assert not [name for name, _ in base.named_parameters() if "like" in name]


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
