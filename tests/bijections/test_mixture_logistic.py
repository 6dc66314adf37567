"""Flow++'s elementwise transform against integration, scipy, float64 and its own inverse."""

import pytest
import scipy.stats
import torch
from torch import Tensor

from genmodels.bijections import MixtureLogistic, ScaleShift


def _parameters(
    shape: tuple[int, ...],
    components: int,
    log_scale: float = 0.0,
    spread: float = 1.0,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """h for x of `shape`: random, with component scales around exp(log_scale)."""
    batch, channels, *rest = shape
    a, b = torch.randn(2, batch, channels, *rest).unbind(0)
    logits = torch.randn(batch, components * channels, *rest)
    means = torch.randn(batch, components * channels, *rest)
    log_scales = log_scale + 0.5 * torch.randn(batch, components * channels, *rest)
    return torch.cat((a, b, logits, means, log_scales), dim=1).to(dtype)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_log_derivative_is_that_of_numerical_integration() -> None:
    """exp(log dz/dx), integrated from one end to the other, is the difference of z."""
    h = _parameters((1, 3), 4).expand(4001, -1)
    x = torch.linspace(-6.0, 6.0, 4001, dtype=torch.float64)[:, None].expand(-1, 3)
    z, log_derivative = MixtureLogistic(4)(x, h)
    integral = torch.trapezoid(log_derivative.exp(), x, dim=0)
    torch.testing.assert_close(integral, z[-1] - z[0], atol=1e-5, rtol=1e-6)
    assert (log_derivative.max(dim=0).values - log_derivative.min(dim=0).values > 0.1).all()


def test_density_pushed_back_from_a_logistic_is_the_mixture() -> None:
    """With a = b = 0 and z logistic, x has the mixture's density."""
    weights, means, scales = torch.tensor([[0.2, 0.5, 0.3], [-1.0, 0.5, 2.0], [0.1, 1.0, 0.4]]).double()
    h = torch.cat((torch.zeros(2), weights.log() + 3.0, means, scales.log()))[None]
    x = torch.linspace(-4.0, 5.0, 50, dtype=torch.float64)[:, None]
    z, log_derivative = MixtureLogistic(3)(x, h.expand(50, -1))
    density = torch.tensor(scipy.stats.logistic.logpdf(z.numpy())) + log_derivative
    expected = sum(
        w * scipy.stats.logistic.pdf(x.numpy(), m, s) for w, m, s in zip(weights, means, scales, strict=True)
    )
    torch.testing.assert_close(density, torch.log(expected))


def test_one_component_is_affine() -> None:
    x, h = torch.randn(5, 2, 3).double(), _parameters((5, 2, 3), 1)
    a, b, _, mean, log_scale = h.chunk(5, dim=1)
    z, log_derivative = MixtureLogistic(1)(x, h)
    torch.testing.assert_close(z, (x - mean) * torch.exp(torch.tanh(a) - log_scale) + b)
    torch.testing.assert_close(log_derivative, torch.tanh(a) - log_scale)


@pytest.mark.parametrize("log_scale", [-6.0, 0.0, 6.0])
@pytest.mark.parametrize("components", [1, 4])
def test_inverse_at_extreme_values_and_scales(log_scale: float, components: int) -> None:
    """Where the CDF itself rounds to 0 or 1 in any precision."""
    z = torch.tensor([-1e3, -30.0, -5.0, 0.0, 5.0, 30.0, 1e3], dtype=torch.float64)[:, None].expand(-1, 6)
    h = _parameters((7, 6), components, log_scale)
    transform = MixtureLogistic(components)
    x, log_derivative = transform.inverse(z, h)
    back, forward_log_derivative = transform(x, h)
    # What one rounding of x makes of z is the best that an inverse can do.
    achievable = 1e-9 + 4 * torch.finfo(z.dtype).eps * x.abs() * forward_log_derivative.exp()
    assert ((back - z).abs() <= achievable).all()
    torch.testing.assert_close(log_derivative, -forward_log_derivative, atol=1e-9, rtol=1e-9)


def test_float32_agrees_with_float64_far_out_in_the_tails() -> None:
    x = torch.linspace(-40.0, 40.0, 81)[:, None].expand(-1, 4)
    h = _parameters((81, 4), 8, dtype=torch.float32)
    transform = MixtureLogistic(8)
    single, double = transform(x, h), transform(x.double(), h.double())
    for value, exact in zip(single, double, strict=True):
        assert value.isfinite().all()
        torch.testing.assert_close(value.double(), exact, atol=1e-4, rtol=1e-5)
    back, _ = transform.inverse(single[0], h)
    torch.testing.assert_close(back, x, atol=1e-3, rtol=1e-5)


def test_tiny_scales_are_bounded_and_stay_finite_in_float32() -> None:
    h = _parameters((50, 4), 4, log_scale=-50.0, dtype=torch.float32).requires_grad_()
    x = (30.0 * torch.randn(50, 4)).requires_grad_()
    z, log_derivative = MixtureLogistic(4)(x, h)
    assert log_derivative.max() < 7.0 + 1.0 + 1e-3
    (z.sum() + log_derivative.sum()).backward()
    assert x.grad.isfinite().all()
    assert h.grad.isfinite().all()


def test_the_plateau_between_two_narrow_components_has_a_finite_inverse_and_gradient() -> None:
    h = torch.tensor([[0.0, 0.0, 0.0, 0.0, -5.0, 5.0, -7.0, -7.0]], requires_grad=True)
    z = torch.zeros(1, 1, requires_grad=True)
    x, log_derivative = MixtureLogistic(2).inverse(z, h)
    assert abs(float(x.detach())) < 5.0
    x.sum().backward()
    assert log_derivative.isfinite().all()
    assert z.grad.isfinite().all()
    assert h.grad.isfinite().all()


def test_gradient_of_the_inverse_is_the_implicit_one() -> None:
    z, h = torch.randn(2, 2).double(), _parameters((2, 2), 3)
    transform = MixtureLogistic(3)
    assert torch.autograd.gradcheck(transform.inverse, (z.requires_grad_(), h.requires_grad_()), atol=1e-6)


def test_scale_shift_is_the_affine_part() -> None:
    x, h = torch.randn(3, 2).double(), torch.randn(3, 4).double()
    z, log_derivative = ScaleShift()(x, h)
    torch.testing.assert_close(z, x * torch.exp(torch.tanh(h[:, :2])) + h[:, 2:])
    torch.testing.assert_close(log_derivative, torch.tanh(h[:, :2]))
    torch.testing.assert_close(ScaleShift().inverse(z, h)[0], x)
