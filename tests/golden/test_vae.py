"""VAEs by their papers and official codes: Kingma & Welling 2014, VampPrior, planar flows in Sylvester's code, IAF."""

import math

import torch
from torch import Tensor

from genmodels.distributions import Bernoulli, StandardNormal
from genmodels.models import (
    VAE,
    ConvNetworks,
    Diagonal,
    FullCovariance,
    IAFPosterior,
    MLPNetworks,
    PlanarPosterior,
    Posterior,
    RadialPosterior,
    VampPrior,
)
from golden.fixed import filled, images
from golden.made_network import State

SHAPE, Z = (1, 2, 3), 3


def _vae(posterior: Posterior, prior: VampPrior | None = None) -> VAE:
    networks = MLPNetworks(width=5, num_hidden=1)
    return filled(VAE(SHAPE, 2, networks, posterior, prior or StandardNormal([Z]), Bernoulli(SHAPE, 2)))


def _perceptron(w: State, net: str, x: Tensor) -> Tensor:
    """Appendix C: one hidden layer of tanh."""
    h = torch.tanh(x @ w[f"{net}.net.layers.0.weight"].T + w[f"{net}.net.layers.0.bias"])
    return h @ w[f"{net}.net.layers.2.weight"].T + w[f"{net}.net.layers.2.bias"]


def _log_bernoulli(w: State, z: Tensor, x: Tensor) -> Tensor:
    p = torch.sigmoid(_perceptron(w, "decoder", z))
    return (x * torch.log(p) + (1 - x) * torch.log(1 - p)).sum(dim=1)


def _log_normal_standard(z: Tensor) -> Tensor:
    return -0.5 * (math.log(2 * math.pi) + z**2).sum(dim=-1)


def _log_normal_diag(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    return -0.5 * (math.log(2 * math.pi) + log_var + (z - mean) ** 2 / torch.exp(log_var)).sum(dim=-1)


def _case(model: VAE) -> tuple[State, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Weights, flat images, noise, the encoder's numbers, and what the model says of the same noise."""
    x = images(SHAPE, 2, count=4)
    torch.manual_seed(3)
    log_weight = model.log_prob(x)
    torch.manual_seed(3)
    noise = torch.randn(4, Z, dtype=torch.float64)
    w, flat = model.state_dict(), x.flatten(1).double()
    return w, flat, noise, _perceptron(w, "encoder", flat), log_weight, model.terms(x).kls[0]


def _same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_kingma_and_welling() -> None:
    """Equations 9 and 10, with the closed form of Appendix B."""
    w, x, noise, features, log_weight, kl = _case(_vae(Diagonal(Z)))
    mean, log_sigma = features[:, :Z], features[:, Z:]
    sigma = torch.exp(log_sigma)
    z = mean + sigma * noise
    log_q = _log_normal_diag(z, mean, torch.log(sigma**2))
    _same(log_weight, _log_bernoulli(w, z, x) + _log_normal_standard(z) - log_q)
    _same(kl.sum(dim=1), -0.5 * (1 + torch.log(sigma**2) - mean**2 - sigma**2).sum(dim=1))


def test_full_covariance() -> None:
    """Kingma & Welling 2019, Algorithm 3."""
    w, x, noise, features, log_weight, _ = _case(_vae(FullCovariance(Z)))
    mean, log_sigma, below = features[:, :Z], features[:, Z : 2 * Z], features[:, 2 * Z :]
    mask = torch.zeros(4, Z, Z, dtype=torch.float64)
    mask[:, 1, 0], mask[:, 2, 0], mask[:, 2, 1] = below.unbind(dim=1)
    factor = mask + torch.diag_embed(torch.exp(log_sigma))
    z = torch.einsum("bij,bj->bi", factor, noise) + mean
    log_q = -(0.5 * (noise**2 + math.log(2 * math.pi)) + log_sigma).sum(dim=1)
    _same(log_weight, _log_bernoulli(w, z, x) + _log_normal_standard(z) - log_q)


def test_vampprior() -> None:
    """The official code, models/VAE.py, with its log-variances; pixels through Hardtanh(0, 1)."""
    w, x, noise, features, log_weight, kl = _case(_vae(Diagonal(Z), VampPrior([Z], SHAPE, 2, num_components=5)))
    mean, log_var = features[:, :Z], 2 * features[:, Z:]
    z = noise * torch.exp(0.5 * log_var) + mean
    pseudo = _perceptron(w, "encoder", torch.nn.functional.hardtanh(w["prior.inputs"].flatten(1), 0.0, 1.0))
    a = _log_normal_diag(z[:, None], pseudo[None, :, :Z], 2 * pseudo[None, :, Z:]) - math.log(5)
    a_max = a.max(dim=1).values
    log_p = a_max + torch.log(torch.exp(a - a_max[:, None]).sum(dim=1))
    _same(log_weight, _log_bernoulli(w, z, x) + log_p - _log_normal_diag(z, mean, log_var))
    assert kl.shape == (4, 1)
    assert bool((w["prior.inputs"] < 0).any() and (w["prior.inputs"] > 0).any())


def test_planar() -> None:
    """Sylvester's official code, models/flows.py: u, w and b of every map from the encoder."""
    w, x, noise, features, log_weight, _ = _case(_vae(PlanarPosterior(Z, num_maps=2)))
    mean, log_sigma = features[:, :Z], features[:, Z : 2 * Z]
    z = mean + torch.exp(log_sigma) * noise
    log_q = _log_normal_diag(z, mean, 2 * log_sigma)
    for share in features[:, 2 * Z :].chunk(2, dim=1):
        vector, b, u = share[:, :Z], share[:, Z], share[:, Z + 1 :]
        uw = (vector * u).sum(dim=1)
        m_uw = -1 + torch.log(1 + torch.exp(uw))
        u_hat = u + ((m_uw - uw) / (vector**2).sum(dim=1))[:, None] * vector
        wzb = (vector * z).sum(dim=1) + b
        psi = vector * (1 - torch.tanh(wzb) ** 2)[:, None]
        z = z + u_hat * torch.tanh(wzb)[:, None]
        log_q = log_q - torch.log(torch.abs(1 + (psi * u_hat).sum(dim=1)))
    _same(log_weight, _log_bernoulli(w, z, x) + _log_normal_standard(z) - log_q)


def test_radial() -> None:
    """Rezende & Mohamed 2015, Equation 14 and Appendix A.2."""
    w, x, noise, features, log_weight, _ = _case(_vae(RadialPosterior(Z, num_maps=2)))
    mean, log_sigma = features[:, :Z], features[:, Z : 2 * Z]
    z = mean + torch.exp(log_sigma) * noise
    log_q = _log_normal_diag(z, mean, 2 * log_sigma)
    for share in features[:, 2 * Z :].chunk(2, dim=1):
        alpha = torch.exp(share[:, Z])
        beta = -alpha + torch.log(1 + torch.exp(share[:, Z + 1]))
        offset = z - share[:, :Z]
        r = (offset**2).sum(dim=1).sqrt()
        h = 1 / (alpha + r)
        log_q = log_q - (Z - 1) * torch.log(1 + beta * h) - torch.log(1 + beta * h - beta * r * h**2)
        z = z + (beta * h)[:, None] * offset
    _same(log_weight, _log_bernoulli(w, z, x) + _log_normal_standard(z) - log_q)


def test_iaf() -> None:
    """Kingma et al. 2016, Algorithm 1; the order of the latents is reversed in every second step."""
    width, context_features = 6, 4
    model = _vae(IAFPosterior(Z, num_steps=2, width=width, num_hidden=2, context_features=context_features))
    w, x, noise, features, log_weight, _ = _case(model)
    mean, log_sigma, context = features.split((Z, Z, context_features), dim=1)
    z = mean + torch.exp(log_sigma) * noise
    log_q = -(log_sigma + 0.5 * noise**2 + 0.5 * math.log(2 * math.pi)).sum(dim=1)
    degrees = (torch.arange(width) % (Z - 1) + 1).sort().values
    for step in range(2):
        net = f"posterior.bijection.bijection.bijections.{step}.net"
        place = 1 + torch.arange(Z) if step == 0 else Z - torch.arange(Z)

        def masked(layer: int, mask: Tensor, h: Tensor, net: str = net) -> Tensor:
            return h @ (w[f"{net}.layers.{layer}.weight"] * mask).T + w[f"{net}.layers.{layer}.bias"]

        of_context = context @ w[f"{net}.of_context.weight"].T
        elu = torch.nn.functional.elu
        h = elu(masked(0, degrees[:, None] >= place, z) + of_context[:, :width])
        h = elu(masked(1, degrees[:, None] >= degrees, h))
        m, s = (masked(2, place.repeat(2)[:, None] > degrees, h) + of_context[:, width:]).chunk(2, dim=1)
        sigma = torch.sigmoid(s + 1)
        z = sigma * z + (1 - sigma) * m
        log_q = log_q - torch.log(sigma).sum(dim=1)
    _same(log_weight, _log_bernoulli(w, z, x) + _log_normal_standard(z) - log_q)


def test_numbers_of_parameters_are_those_of_sylvesters_code() -> None:
    """By its defaults, of four maps or steps; the IAF's context enters our MADEs by a linear map of their own."""

    def count(posterior: Posterior) -> int:
        model = VAE((1, 28, 28), 2, ConvNetworks(), posterior, StandardNormal([64]), Bernoulli((1, 28, 28), 2))
        return sum(parameter.numel() for parameter in model.parameters())

    assert count(PlanarPosterior(64, num_maps=4)) == 3_199_717
    iaf = IAFPosterior(64, num_steps=4, width=320, num_hidden=2, context_features=320)
    assert count(iaf) == 3_807_777 + 4 * 320 * (320 + 2 * 64)
