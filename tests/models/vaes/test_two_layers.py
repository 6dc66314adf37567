"""Two layers of latents: against models whose evidence and posteriors are known, and whose data can be enumerated."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from genmodels.distributions import Base, Bernoulli, Gaussian, StandardNormal
from genmodels.errors import UserError
from genmodels.models import HVAE, Diagonal, GatedMLPNetworks, TwoLayerVAE, VampPrior
from genmodels.models.vaes.two_layers import TwoLayerModel
from genmodels.objectives import ELBO

CLASSES, SHAPE = 3, (1, 1, 3)
KINDS: dict[str, Callable[..., TwoLayerModel]] = {
    "vae_2layer": lambda shape, levels, *parts, num_latents=3, **more: TwoLayerVAE(
        shape, levels, GatedMLPNetworks(8, 1), *parts, num_latents=num_latents, width=8, num_hidden=1, **more
    ),
    "hvae": lambda shape, levels, *parts, num_latents=3, **more: HVAE(
        shape, levels, *parts, num_latents=num_latents, width=8, **more
    ),
}
KIND = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _binary(kind: str, prior: Base | None = None, **more: Any) -> TwoLayerModel:
    """On three binary pixels, z1 of 3 and z2 of 2 numbers, in float64."""
    parts = Diagonal(2), prior or StandardNormal([2]), Bernoulli(SHAPE, 2)
    return KINDS[kind](SHAPE, 2, *parts, **more).double()


# One number each of x, z1 and z2: z2 ~ N(0, 1), z1 ~ N(a z2 + c, s1^2), x ~ N(w1 z1 + w2 z2 + b, s^2).
A, C, S1, B, S = 0.8, 0.3, 0.6, -0.2, 0.5
W = {"vae_2layer": (1.3, 0.0), "hvae": (1.3, -0.7)}


class _Affine(nn.Module):
    """A linear function of all that is given, and for a density a log-scale."""

    def __init__(self, weights: list[float], bias: float, scale: float | None) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights, dtype=torch.double))
        self.bias = nn.Parameter(torch.tensor(bias, dtype=torch.double))
        self.log_scale = None if scale is None else nn.Parameter(torch.tensor(math.log(scale), dtype=torch.double))

    def forward(self, *given: Tensor | None) -> Tensor:
        inputs = [x for x in given if x is not None]
        rows = max(len(x) for x in inputs)
        joined = torch.cat([x.repeat(rows // len(x), 1) for x in inputs], dim=1)
        mean = (joined @ self.weights + self.bias)[:, None]
        return mean if self.log_scale is None else torch.cat((mean, self.log_scale.expand_as(mean)), dim=1)


def _linear(kind: str, exact: bool = True) -> TwoLayerModel:
    """The model above, with its true posterior or one that is shifted and wider."""
    parts = Diagonal(1), StandardNormal([1]), Gaussian((1,), None, S)
    model = KINDS[kind]((1,), None, *parts, num_latents=1).double()
    w1, w2 = W[kind]
    model.p1.net = _Affine([A], C, S1)
    model.decoder = _Affine([w1, w2] if kind == "hvae" else [w1], B, None)
    shift, wider = (0.0, 1.0) if exact else (0.2, 1.3)
    if kind == "hvae":
        slope, variance = w1 * A + w2, w1**2 * S1**2 + S**2
        precision, lower = 1 + slope**2 / variance, 1 / S1**2 + w1**2 / S**2
        gain = slope / variance / precision
        model.q2.net = _Affine([gain], shift - gain * (B + w1 * C), wider * precision**-0.5)
        weights = [w1 / S**2 / lower, (A / S1**2 - w1 * w2 / S**2) / lower]
        model.q1.net = _Affine(weights, shift + (C / S1**2 - w1 * B / S**2) / lower, wider * lower**-0.5)
    else:
        lower, upper = 1 / (A**2 + S1**2) + w1**2 / S**2, 1 + A**2 / S1**2
        bias = (C / (A**2 + S1**2) - w1 * B / S**2) / lower
        model.q1.net = _Affine([w1 / S**2 / lower], shift + bias, wider * lower**-0.5)
        gain = A / S1**2 / upper
        model.q2.net = _Affine([gain], shift - gain * C, wider * upper**-0.5)
    return model


def _evidence(kind: str, x: Tensor) -> Tensor:
    w1, w2 = W[kind]
    variance = (w1 * A + w2) ** 2 + w1**2 * S1**2 + S**2
    mean = torch.full_like(x, B + w1 * C)
    return Normal(mean, math.sqrt(variance)).log_prob(x).sum(dim=1)


def _numbers(n: int) -> Tensor:
    return torch.randn(n, 1, dtype=torch.double)


@KIND
def test_with_the_true_posterior_every_log_weight_is_the_evidence(kind: str) -> None:
    x = _numbers(4)
    log_weights = _linear(kind).terms(x, samples=3).log_weights
    assert torch.allclose(log_weights, _evidence(kind, x).expand(3, -1), rtol=0, atol=1e-12)


@KIND
def test_importance_weights_average_to_the_evidence(kind: str) -> None:
    x = _numbers(4)
    weights = (_linear(kind, exact=False).terms(x, samples=100_000).log_weights - _evidence(kind, x)).exp()
    error = weights.std(dim=0) / 100_000**0.5
    assert (error < 0.02).all()
    assert ((weights.mean(dim=0) - 1).abs() < 5 * error).all()


@KIND
def test_the_terms_add_up_to_the_bound(kind: str) -> None:
    model, x = _linear(kind, exact=False), _numbers(4)
    terms = model.terms(x, samples=100_000)
    lower, upper = terms.kls
    assert (terms.log_ratios[0].shape, lower.shape, upper.shape) == ((100_000, 4, 1), (4, 1), (4, 1))
    assert torch.equal(lower, terms.log_ratios[0].mean(dim=0))
    ratio = terms.log_ratios[1]
    error = ratio.std(dim=0) / 100_000**0.5
    assert ((upper - ratio.mean(dim=0)).abs() < 6 * error).all()
    given = x if kind == "hvae" else terms.latents[0].flatten(0, 1)
    mean, log_scale = model.q2.net(given).chunk(2, dim=1)
    closed = kl_divergence(Normal(mean, log_scale.exp()), Normal(torch.zeros_like(mean), 1.0))
    assert torch.allclose(upper, closed.view(-1, 4, 1).mean(dim=0))
    sums = terms.log_likelihood - terms.log_ratios[0].sum(dim=-1) - ratio.sum(dim=-1)
    assert torch.allclose(terms.log_weights, sums)


@KIND
def test_sticking_leaves_no_gradient_at_the_true_posterior_in_either_layer(kind: str) -> None:
    model, x = _linear(kind), _numbers(4)
    inference = [*model.q1.parameters(), *model.q2.parameters()]
    sizes = {}
    for gradient in ("reparametrised", "sticking"):
        bound = model.terms(x, samples=3, gradient=gradient).log_weights.square().sum()
        sizes[gradient] = torch.stack([g.abs().max() for g in torch.autograd.grad(bound, inference)])
    assert (sizes["reparametrised"] > 0.01).all()
    assert (sizes["sticking"] < 1e-10).all()


@KIND
def test_for_the_score_draws_are_constants_and_log_q_keeps_its_parameters(kind: str) -> None:
    model, x = _linear(kind, exact=False), _numbers(4)
    terms = model.terms(x, samples=3, gradient="score")
    assert not any(z.requires_grad for z in terms.latents)
    z1, z2 = (z.flatten(0, 1) for z in terms.latents)
    given = {"hvae": ((x, z2), (x,)), "vae_2layer": ((x,), (z1,))}[kind]
    inference = [*model.q1.parameters(), *model.q2.parameters()]
    log_q = torch.zeros(())
    for z, net, inputs in zip((z1, z2), (model.q1.net, model.q2.net), given, strict=True):
        mean, log_scale = net(*inputs).repeat(12 // max(map(len, inputs)), 1).chunk(2, dim=1)
        log_q = log_q + Normal(mean, log_scale.exp()).log_prob(z).sum(dim=1).view(3, 4)
    assert torch.allclose(terms.log_posterior, log_q)
    expected = torch.autograd.grad(log_q.square().sum(), inference)
    found = torch.autograd.grad(terms.log_posterior.square().sum(), inference)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other)
    assert all(g is None for g in torch.autograd.grad(terms.log_likelihood.sum(), inference, allow_unused=True))


@KIND
@pytest.mark.parametrize("gradient", ["sticking", "reinforce_baseline"])
def test_all_gradients_of_the_elbo_agree_in_expectation(kind: str, gradient: Any) -> None:
    model, x = _linear(kind, exact=False), _numbers(4)
    parameters = list(model.parameters())

    def estimates(gradient: Any) -> Tensor:
        objective = ELBO(samples=100, gradient=gradient)
        runs = [torch.autograd.grad(objective(model, x, None)[0], parameters) for _ in range(300)]
        return torch.stack([torch.cat([g.flatten() for g in grads]) for grads in runs])

    one, other = estimates("reparametrised"), estimates(gradient)
    error = ((one.var(dim=0) + other.var(dim=0)) / 300).sqrt()
    difference = one.mean(dim=0) - other.mean(dim=0)
    assert (difference.abs() < 5 * error + 1e-12).all()
    assert (error < 0.05).all()


@KIND
def test_samples_have_the_models_own_distribution(kind: str) -> None:
    model = _linear(kind)
    x = model.sample(100_000)
    w1, w2 = W[kind]
    variance = (w1 * A + w2) ** 2 + w1**2 * S1**2 + S**2
    assert float(x.mean()) == pytest.approx(B + w1 * C, abs=0.02)
    assert float(x.var()) == pytest.approx(variance, rel=0.02)
    cold = model.sample(100_000, temperature=0.0)
    assert float(cold.var()) == pytest.approx(S**2, rel=0.02)  # the noise of the data alone is left
    half = model.sample(100_000, temperature=0.5)
    assert float(half.var()) == pytest.approx((variance - S**2) / 4 + S**2, rel=0.02)


@KIND
def test_it_reconstructs_from_the_means_of_its_latents(kind: str) -> None:
    model, x = _linear(kind), _numbers(4)
    if kind == "hvae":
        upper = model.q2.net(x)[:, :1]
        z = torch.cat((model.q1.net(x, upper)[:, :1], upper), dim=1)
    else:
        z = model.q1.net(x)[:, :1]
    assert torch.allclose(model.encode(x), z)
    assert torch.allclose(model.decode(model.encode(x)), model.decoder(z, None))
    assert torch.allclose(model.decode_mean(model.encode(x)), model.decoder(z, None))


def _every_image() -> Tensor:
    return torch.tensor(list(itertools.product((0, 1), repeat=3)), dtype=torch.uint8).view(8, *SHAPE)


@KIND
@pytest.mark.parametrize("conditional", [False, True])
def test_probabilities_of_all_images_sum_to_one_under_every_label(kind: str, conditional: bool) -> None:
    model = _binary(kind, conditional=conditional, num_classes=CLASSES)
    with torch.no_grad():  # posteriors about as wide as the prior, so that few weights are large
        for parameter in (*model.q1.parameters(), *model.q2.parameters(), *model.p1.parameters()):
            parameter.mul_(0.5)
    totals = []
    for label in range(CLASSES if conditional else 1):
        y = torch.full((8,), label) if conditional else None
        with torch.no_grad():
            weights = model.terms(_every_image(), y, samples=20_000).log_weights.exp()
        error = weights.sum(dim=1).std() / 20_000**0.5
        assert error < 0.03
        assert float((weights.sum(dim=1).mean() - 1).abs()) < 5 * error
        totals.append(weights.mean(dim=0))
    assert not conditional or (totals[0] - totals[1]).abs().max() > 0.02


@KIND
def test_every_network_sees_the_label(kind: str) -> None:
    model = _binary(kind, conditional=True, num_classes=CLASSES)
    x, y = torch.ones(2, *SHAPE, dtype=torch.uint8), torch.tensor([0, 1])
    z1, z2 = torch.randn(1, 3, dtype=torch.double).expand(2, -1), torch.randn(1, 2, dtype=torch.double).expand(2, -1)
    labels, values = torch.eye(CLASSES, dtype=torch.double)[y], x.double()
    if kind == "hvae":
        seen = model.q2.net(values, labels), model.q1.net(values, z2, labels)
    else:
        seen = model.q1.net(values, labels), model.q2.net(z1, labels)
    z = torch.cat((z1, z2), dim=1) if kind == "hvae" else z1
    for out in (*seen, model.p1.net(z2, labels), model.decoder(z, labels)):
        assert (out[0] - out[1]).abs().max() > 0.01
    with pytest.raises(UserError, match="class-conditional and the data has no labels"):
        model.log_prob(x)


def _log_normal(z: Tensor, features: Tensor, cut: bool = False) -> Tensor:
    mean, log_scale = features.chunk(2, dim=1)
    log_scale = log_scale.clamp(-3, 1) if cut else log_scale
    return Normal(mean, log_scale.exp()).log_prob(z).sum(dim=1)


@KIND
def test_draws_of_many_samples_keep_examples_and_labels_together(kind: str) -> None:
    model = _binary(kind, conditional=True, num_classes=CLASSES)
    x, y = _every_image(), torch.arange(8) % CLASSES
    terms = model.terms(x, y, samples=5)
    assert [z.shape for z in terms.latents] == [(5, 8, 3), (5, 8, 2)]
    assert [ratio.shape for ratio in terms.log_ratios] == [(5, 8, 1), (5, 8, 1)]
    values, labels = x.double(), torch.eye(CLASSES, dtype=torch.double)[y]
    cut = kind == "hvae"
    for k in range(5):
        z1, z2 = (z[k] for z in terms.latents)
        given = {"hvae": ((values, z2, labels), (values, labels)), "vae_2layer": ((values, labels), (z1, labels))}[kind]
        log_q = _log_normal(z1, model.q1.net(*given[0]), cut) + _log_normal(z2, model.q2.net(*given[1]))
        assert torch.allclose(terms.log_posterior[k], log_q)
        log_p = _log_normal(z1, model.p1.net(z2, labels), cut) + _log_normal(z2, torch.zeros(8, 4, dtype=torch.double))
        assert torch.allclose(sum(ratio[k, :, 0] for ratio in terms.log_ratios), log_q - log_p)
        params = model.decoder(torch.cat((z1, z2), dim=1) if kind == "hvae" else z1, labels)
        log_likelihood = torch.distributions.Bernoulli(logits=params).log_prob(x.double()).sum(dim=(1, 2, 3))
        assert torch.allclose(terms.log_likelihood[k], log_likelihood)


@KIND
def test_it_draws_images_of_the_labels_that_are_asked_for(kind: str) -> None:
    model = _binary(kind, conditional=True, num_classes=CLASSES)
    with torch.no_grad():  # the likelihood of label 2 is near 1 for white
        for parameter in model.decoder.parameters():
            parameter.mul_(0.1)
    first = model.decoder

    class White(nn.Module):
        def forward(self, z: Tensor, context: Tensor) -> Tensor:
            return first(z, context) + 20 * (context[:, 2] - 0.5)[:, None, None, None]

    model.decoder = White()
    y = torch.tensor([2, 0, 2, 1])
    drawn = model.sample(4, y)
    assert drawn.dtype == torch.uint8
    assert drawn.flatten(1).float().mean(dim=1).tolist() == [1, 0, 1, 0]
    share = model.sample(3000).float().mean()
    assert float(share) == pytest.approx(1 / 3, abs=0.05)


@KIND
def test_every_parameter_has_a_gradient(kind: str) -> None:
    model = _binary(kind, conditional=True, num_classes=CLASSES)
    model.log_prob(_every_image(), torch.arange(8) % CLASSES).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_hvae_has_the_parameters_of_vampprior() -> None:
    def linear(inputs: int, outputs: int) -> int:
        return (inputs + 1) * outputs

    def gated(*sizes: int) -> int:
        return sum(2 * linear(a, b) for a, b in itertools.pairwise(sizes))

    shape = (1, 28, 28)
    model = HVAE(shape, 2, Diagonal(40), StandardNormal([40]), Bernoulli(shape, 2))
    joined = gated(600, 300)
    q2 = gated(784, 300, 300) + 2 * linear(300, 40)
    q1 = gated(784, 300) + gated(40, 300) + joined + 2 * linear(300, 40)
    p1 = gated(40, 300, 300) + 2 * linear(300, 40)
    p = 2 * gated(40, 300) + joined + linear(300, 784)
    assert sum(parameter.numel() for parameter in model.parameters()) == q2 + q1 + p1 + p


def test_the_vampprior_of_hvae_is_the_mean_of_its_posteriors_of_the_pseudo_inputs() -> None:
    prior = VampPrior([2], SHAPE, 2, num_components=4)
    model = _binary("hvae", prior)
    mean, log_scale = model.q2.net(prior.inputs.clamp(0, 1), None).chunk(2, dim=1)
    terms = model.terms(_every_image(), samples=2)
    z = terms.latents[1][:, :, None]
    log_prior = Normal(mean, log_scale.exp()).log_prob(z).sum(dim=-1).logsumexp(dim=-1) - math.log(4)
    mean, log_scale = model.q2.net(_every_image().double(), None).chunk(2, dim=1)
    log_q = Normal(mean, log_scale.exp()).log_prob(terms.latents[1]).sum(dim=-1)
    assert torch.allclose(terms.log_ratios[1][..., 0], log_q - log_prior)
    assert model.sample(5).shape == (5, *SHAPE)
    terms.log_weights.sum().backward()
    assert prior.inputs.grad is not None
    assert prior.inputs.grad.abs().sum() > 0


def test_a_vampprior_that_cannot_be_is_refused() -> None:
    prior = VampPrior([2], SHAPE, 2, num_components=4)
    with pytest.raises(UserError, match=r"model/prior=vamp needs q\(z2 \| x\).*: choose model=hvae"):
        _binary("vae_2layer", prior)
    with pytest.raises(UserError, match=r"pseudo-inputs without labels: set model\.conditional=false"):
        _binary("hvae", prior, conditional=True, num_classes=CLASSES)
