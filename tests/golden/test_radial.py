"""Radial flow by Rezende & Mohamed 2015 (arXiv:1505.05770), Equation 14 and Appendix A.2."""

import math

import torch
from torch import Tensor

from genmodels.models import RadialFlow
from golden.fixed import filled


def _data(w: dict[str, Tensor], z: Tensor, layers: int) -> tuple[Tensor, Tensor]:
    """x of noise z, and log q_K(x)."""
    features = z.shape[1]
    log_q = -0.5 * (z**2).sum(dim=1) - features / 2 * math.log(2 * math.pi)
    for k in range(layers):
        centre, log_alpha, raw = (
            w[f"bijection.bijection.bijections.{k}.{name}"] for name in ("centre", "log_alpha", "raw")
        )
        alpha = torch.exp(log_alpha)
        beta = -alpha + torch.log(1 + torch.exp(raw))
        r = ((z - centre) ** 2).sum(dim=1).sqrt()
        h, slope_of_h = 1 / (alpha + r), -1 / (alpha + r) ** 2
        z = z + beta * h[:, None] * (z - centre)
        log_q = log_q - (features - 1) * torch.log(1 + beta * h) - torch.log(1 + beta * h + beta * slope_of_h * r)
    return z, log_q


def test_density_of_samples_and_of_points() -> None:
    for features, layers in ((2, 3), (5, 2)):
        model = filled(RadialFlow((features,), None, num_layers=layers), seed=features)
        torch.manual_seed(3)
        drawn, log_q = model.sample_with_log_prob(6)
        torch.manual_seed(3)
        z = torch.randn(6, features, dtype=torch.float64)
        x, expected = _data(model.state_dict(), z, layers)
        torch.testing.assert_close(drawn, x, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(log_q, expected, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(model.log_prob(x), expected, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(model.encode(x), z, rtol=1e-9, atol=1e-9)


def test_starts_close_to_the_identity() -> None:
    """Our own choice, the paper names none: alpha = 1 and beta near 0."""
    torch.manual_seed(0)
    model = RadialFlow((2,), None)
    raws = torch.stack([value for name, value in model.state_dict().items() if name.endswith("raw")])
    alphas = torch.stack([value for name, value in model.state_dict().items() if name.endswith("log_alpha")])
    assert not alphas.any()
    assert abs(float(torch.log(1 + torch.exp(raws)).mean()) - 1) < 0.05
    assert sum(p.numel() for p in model.parameters()) == 32 * 4
