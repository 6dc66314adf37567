"""HVAE and the VAE of VampPrior by the official code (github.com/jmtomczak/vae_vampprior, models/), in float64."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.distributions import Base, Bernoulli, StandardNormal
from genmodels.models import HVAE, VAE, Diagonal, GatedMLPNetworks, VampPrior
from golden.fixed import filled, images

SHAPE, Z1, Z2, PSEUDO = (1, 2, 3), 4, 3, 5


def _log_normal_diag(x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """`log_Normal_diag`, summed, with the constant that the code leaves out."""
    constant = math.log(2 * math.pi)
    return (-0.5 * (constant + log_var + (x - mean) ** 2 * torch.exp(-log_var))).sum(dim=-1)


def _linear(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _gated(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """`GatedDense` without an activation."""
    h, g = _linear(w, f"{name}.both", x).chunk(2, dim=-1)
    return h * torch.sigmoid(g)


def _normal(features: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_scale = features.chunk(2, dim=-1)
    return mean, F.hardtanh(2 * log_scale, min_val=-6.0, max_val=2.0)


def _perceptron(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    h = _gated(w, f"{name}.layers.1", _gated(w, f"{name}.layers.0", x))
    return _linear(w, f"{name}.output", h)


def _joined(w: dict[str, Tensor], name: str, first: Tensor, second: Tensor) -> Tensor:
    h = torch.cat((_gated(w, f"{name}.first", first), _gated(w, f"{name}.second", second)), dim=1)
    return _linear(w, f"{name}.output", _gated(w, f"{name}.both", h))


def _log_p(w: dict[str, Tensor], prior: str, encoder: str, z: Tensor) -> Tensor:
    """`log_p_z` or `log_p_z2`."""
    if prior == "standard":
        return _log_normal_diag(z, torch.zeros_like(z), torch.zeros_like(z))
    pseudo_inputs = F.hardtanh(w["prior.inputs"].flatten(1), min_val=0.0, max_val=1.0)
    means, log_vars = _normal(_perceptron(w, encoder, pseudo_inputs))
    a = _log_normal_diag(z[:, None], means[None], log_vars[None]) - math.log(PSEUDO)
    a_max = a.max(dim=1).values
    return a_max + torch.log(torch.sum(torch.exp(a - a_max[:, None]), dim=1))


def _log_bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    probability = torch.sigmoid(logits)
    return (x * torch.log(probability) + (1 - x) * torch.log(1 - probability)).sum(dim=1)


def _prior(kind: str, numbers: int) -> Base:
    return VampPrior([numbers], SHAPE, 2, PSEUDO) if kind == "vampprior" else StandardNormal([numbers])


@pytest.mark.parametrize("prior", ["standard", "vampprior"])
def test_hvae(prior: str) -> None:
    model = filled(
        HVAE(SHAPE, 2, Diagonal(Z2, [-3, 1]), _prior(prior, Z2), Bernoulli(SHAPE, 2), num_latents=Z1, width=6)
    )
    with torch.no_grad():  # else the plain Bernoulli takes log(0)
        for parameter in model.parameters():
            parameter.mul_(0.6)
        for net in (model.q2.net.net, model.q1.net, model.p1.net):  # a variance of each that is cut
            net.output.bias[-1] += 2.0
    x, w = images(SHAPE, 2, count=7), model.state_dict()
    data = x.flatten(1).double()
    torch.manual_seed(1)
    found = model.terms(x)
    torch.manual_seed(1)
    q2 = _normal(_perceptron(w, "q2.net.net", data))
    z2 = torch.randn(7, Z2, dtype=torch.double) * torch.exp(0.5 * q2[1]) + q2[0]
    q1 = _normal(_joined(w, "q1.net", data, z2))
    z1 = torch.randn(7, Z1, dtype=torch.double) * torch.exp(0.5 * q1[1]) + q1[0]
    log_p_z1 = _log_normal_diag(z1, *_normal(_perceptron(w, "p1.net", z2)))
    log_q_z1, log_q_z2 = _log_normal_diag(z1, *q1), _log_normal_diag(z2, *q2)
    kl = -(log_p_z1 + _log_p(w, prior, "q2.net.net", z2) - log_q_z1 - log_q_z2)
    re = _log_bernoulli(data, _joined(w, "decoder.net", z1, z2))
    assert torch.allclose(found.log_likelihood[0], re, rtol=0, atol=1e-10)
    assert torch.allclose(found.log_weights[0], re - kl, rtol=0, atol=1e-10)


@pytest.mark.parametrize("prior", ["standard", "vampprior"])
def test_vae(prior: str) -> None:
    parts = GatedMLPNetworks(6), Diagonal(Z1, [-3, 1]), _prior(prior, Z1), Bernoulli(SHAPE, 2)
    model = filled(VAE(SHAPE, 2, *parts))
    x, w = images(SHAPE, 2, count=7), model.state_dict()
    data = x.flatten(1).double()
    torch.manual_seed(1)
    found = model.terms(x).log_weights[0]
    torch.manual_seed(1)
    q = _normal(_perceptron(w, "encoder.net", data))
    z = torch.randn(7, Z1, dtype=torch.double) * torch.exp(0.5 * q[1]) + q[0]
    kl = -(_log_p(w, prior, "encoder.net", z) - _log_normal_diag(z, *q))
    re = _log_bernoulli(data, _perceptron(w, "decoder.net", z))
    assert torch.allclose(found, re - kl, rtol=0, atol=1e-10)
