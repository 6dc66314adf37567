"""Planar flow by Rezende & Mohamed 2015 (arXiv:1505.05770), Equations 10 to 13 and Appendix A.1."""

import math

import pytest
import torch
from torch import Tensor

from genmodels.models import PlanarFlow
from golden.fixed import filled


def _data(w: dict[str, Tensor], z: Tensor, layers: int) -> tuple[Tensor, Tensor]:
    """x of noise z, and log q_K(x)."""
    log_q = -0.5 * (z**2).sum(dim=1) - z.shape[1] / 2 * math.log(2 * math.pi)
    for k in range(layers):
        vector, b, u = (w[f"bijection.bijection.bijections.{k}.{name}"] for name in ("w", "b", "v"))
        along = vector.dot(u)
        m = -1 + torch.log(1 + torch.exp(along))
        u = u + (m - along) * vector / vector.dot(vector)
        a = z @ vector + b
        psi = (1 - torch.tanh(a) ** 2)[:, None] * vector
        z = z + torch.tanh(a)[:, None] * u
        log_q = log_q - torch.log((1 + psi @ u).abs())
    return z, log_q


def test_density_of_samples_and_of_points() -> None:
    for features, layers in ((2, 3), (5, 2)):
        model = filled(PlanarFlow((features,), None, num_layers=layers), seed=features)
        torch.manual_seed(3)
        drawn, log_q = model.sample_with_log_prob(6)
        torch.manual_seed(3)
        z = torch.randn(6, features, dtype=torch.float64)
        x, expected = _data(model.state_dict(), z, layers)
        torch.testing.assert_close(drawn, x, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(log_q, expected, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(model.log_prob(x), expected, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(model.encode(x), z, rtol=1e-9, atol=1e-9)


def test_number_of_parameters() -> None:
    """Section 6.1: w, b and u of each of the longest flow's 32 maps of the plane."""
    assert sum(p.numel() for p in PlanarFlow((2,), None).parameters()) == 32 * 5


def test_starts_with_random_planes_and_small_steps() -> None:
    """Our own choice, the paper names none: w and b from N(0, 1), u before it is constrained from N(0, 0.1)."""
    torch.manual_seed(0)
    w = PlanarFlow((20,), None, num_layers=200).state_dict()
    for name, expected in (("w", 1.0), ("b", 1.0), ("v", 0.1)):
        values = torch.stack([value for key, value in w.items() if key.endswith(f".{name}")])
        assert float(values.std()) == pytest.approx(expected, rel=0.2), name
        assert abs(float(values.mean())) < 0.3 * expected, name
