"""The maps of Rezende & Mohamed 2015: their constraints, known special cases and hard inverses."""

import math

import pytest
import torch
from torch import Tensor

from genmodels.bijections import Planar, Radial


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _planar(w: list[float], v: list[float], b: float = 0.0) -> Planar:
    layer = Planar(len(w)).double()
    with torch.no_grad():
        layer.w.copy_(torch.tensor(w))
        layer.v.copy_(torch.tensor(v))
        layer.b.fill_(b)
    return layer


def _radial(log_alpha: float, raw: float) -> Radial:
    layer = Radial(2).double()
    with torch.no_grad():
        layer.centre.zero_()
        layer.log_alpha.fill_(log_alpha)
        layer.raw.fill_(raw)
    return layer


def test_planar_constraint_holds_for_any_parameters() -> None:
    for _ in range(200):
        layer = _planar(*(5 * torch.randn(2, 4)).tolist())
        u, slope = layer.constrained()
        along = float((layer.w @ u).detach())
        assert along >= -1 - 1e-12
        free = float((layer.w @ layer.v).detach())
        assert along == pytest.approx(-1 + math.log1p(math.exp(free)), abs=1e-8)
        assert slope.item() == pytest.approx(1 + along, abs=1e-8)


def test_planar_constraint_moves_u_along_w_only() -> None:
    layer = _planar([3.0, 4.0], [-2.0, 1.0])
    u, _ = layer.constrained()
    across = torch.tensor([4.0, -3.0], dtype=torch.float64)
    torch.testing.assert_close(u @ across, layer.v @ across)


def _round_trip(layer: Planar | Radial, x: Tensor, tolerance: float = 1e-6) -> float:
    z, log_det = layer(x)
    back, log_det_back = layer.inverse(z)
    assert log_det.isfinite().all()
    torch.testing.assert_close(log_det_back, -log_det, atol=tolerance, rtol=tolerance)
    return float(((back.detach() - x).abs().amax(dim=1) / x.abs().amax(dim=1).clamp_min(1)).max())


@pytest.mark.parametrize("v", [[-5.0, 0.0], [-20.0, 3.0], [40.0, -7.0]])
def test_planar_is_invertible_where_the_free_parameter_would_fold_space(v: list[float]) -> None:
    """w'v = -5 and -20 would make z + v tanh(w'z) two-to-one."""
    layer = _planar([1.0, 0.0], v)
    folded = torch.linspace(-3, 3, 101, dtype=torch.float64)
    assert ((folded + v[0] * folded.tanh()).diff() > 0).all() == (v[0] >= -1)
    x = torch.stack([folded, torch.zeros_like(folded)], dim=1)
    z, _ = layer(x)
    assert (z[:, 0].diff() > 0).all()
    assert _round_trip(layer, x) < 1e-7


def test_planar_inverse_far_out_and_in_single_precision() -> None:
    layer = _planar([0.7, -1.2], [0.5, 2.0], 0.3)
    far = torch.tensor([[1e6, -1e6], [1e-9, 0.0], [-1e3, 2.0]], dtype=torch.float64)
    assert _round_trip(layer, far) < 1e-12
    assert _round_trip(layer.float(), 3 * torch.randn(1000, 2), tolerance=1e-4) < 1e-5


def test_planar_with_a_small_w_is_the_linear_map() -> None:
    """tanh(a) = a - a^3 / 3: f(z) = (I + u w') z, and det(I + u w') = 1 + w'u."""
    layer = _planar([1e-5, 2e-5], [3e4, -1e4])
    u, _ = layer.constrained()
    matrix = torch.eye(2, dtype=torch.float64) + torch.outer(u, layer.w)
    x = torch.randn(50, 2, dtype=torch.float64)
    z, log_det = layer(x)
    torch.testing.assert_close(z, x @ matrix.T, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(log_det, torch.linalg.slogdet(matrix).logabsdet.expand(50), atol=1e-7, rtol=1e-7)


def test_gradient_of_the_planar_inverse_is_that_of_the_implicit_function() -> None:
    layer = Planar(3).double()
    z = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    names = ["w", "b", "v"]
    parameters = [getattr(layer, name).detach().clone().requires_grad_() for name in names]

    def inverse(z: Tensor, *values: Tensor) -> tuple[Tensor, Tensor]:
        class Root(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = layer

            def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
                return self.layer.inverse(z)

        states = {f"layer.{name}": value for name, value in zip(names, values, strict=True)}
        return torch.func.functional_call(Root(), states, (z,))

    assert torch.autograd.gradcheck(inverse, (z, *parameters))


def test_radial_constraint_holds_for_any_parameters() -> None:
    for log_alpha, raw in (5 * torch.randn(200, 2)).tolist():
        alpha, total = (value.detach() for value in _radial(log_alpha, raw).constrained())
        assert float(total - alpha) >= -float(alpha)
        assert float(total) == pytest.approx(math.log1p(math.exp(raw)), rel=1e-6)


def test_radial_is_equation_14() -> None:
    layer = Radial(3).double()
    alpha, total = layer.constrained()
    x = torch.randn(5, 3, dtype=torch.float64)
    radius = (x - layer.centre).norm(dim=1)
    h, beta = 1 / (alpha + radius), total - alpha
    z, log_det = layer(x)
    torch.testing.assert_close(z, x + (beta * h)[:, None] * (x - layer.centre))
    expected = 2 * torch.log(1 + beta * h) + torch.log(1 + beta * h - beta * h**2 * radius)
    torch.testing.assert_close(log_det, expected)


@pytest.mark.parametrize(("log_alpha", "raw"), [(0.0, -30.0), (3.0, -8.0), (-8.0, 3.0), (0.0, 60.0), (5.0, 5.0)])
def test_radial_inverse_at_extreme_values(log_alpha: float, raw: float) -> None:
    """Almost collapsing to the centre, almost tearing apart, and points at, near and very far from the centre."""
    layer = _radial(log_alpha, raw)
    sizes = torch.tensor([0.0, 1e-12, 1e-3, 1.0, 1e3, 1e9], dtype=torch.float64)
    x = sizes[:, None] * torch.tensor([0.6, -0.8], dtype=torch.float64)
    z, _ = layer(x)
    back, _ = layer.inverse(z)
    assert (z.norm(dim=1).diff() > 0).all()
    torch.testing.assert_close(back, x, rtol=1e-6, atol=1e-15)
    assert _round_trip(layer, x) < 1e-6


def test_radial_gradients_are_finite_at_the_centre() -> None:
    layer = _radial(0.0, -1.0)
    x = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    for direction in (layer.forward, layer.inverse):
        z, log_det = direction(x)
        gradients = torch.autograd.grad(z.sum() + log_det.sum(), [x, *layer.parameters()])
        assert all(gradient.isfinite().all() for gradient in gradients)
