"""The ELBO's gradients, by every estimator, against those of its closed form for a linear-Gaussian VAE."""

import math

import pytest
import torch
from estimators import gradient, measured
from linear_gaussian import LATENTS, SCALE, evidence, examples, infer_well, linear_gaussian, true_posterior
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from genmodels.distributions import Bernoulli, StandardNormal
from genmodels.errors import UserError
from genmodels.models import NICE, VAE, Diagonal, MLPNetworks
from genmodels.objectives import ELBO

GRADIENTS = ["reparametrised", "sticking", "reinforce", "reinforce_baseline"]


@pytest.fixture
def model() -> VAE:
    torch.manual_seed(0)
    return linear_gaussian()


def _kls(model: VAE, x: Tensor) -> Tensor:
    """KL(q(z_j | x) || p(z_j)), [B, Z]."""
    mean, log_scale = model.posterior_features(x).chunk(2, dim=1)
    return kl_divergence(Normal(mean, log_scale.exp()), Normal(torch.zeros_like(mean), 1.0))


def _log_likelihood(model: VAE, x: Tensor) -> Tensor:
    """E_q[log p(x | z)], [B]."""
    mean, log_scale = model.posterior_features(x).chunk(2, dim=1)
    at_mean = Normal(model.decoder(mean), SCALE).log_prob(x).sum(dim=1)
    spread = (model.decoder.weight.square() * (2 * log_scale).exp()[:, None]).sum(dim=(1, 2))
    return at_mean - spread / (2 * SCALE**2)


def _negative_bound(model: VAE, x: Tensor, weight: float = 1.0) -> Tensor:
    return weight * _kls(model, x).sum(dim=1).mean() - _log_likelihood(model, x).mean()


@torch.no_grad()
def _make_posterior_exact(model: VAE) -> Tensor:
    """Columns of the decoder orthogonal and q(z | x) = p(z | x), which is diagonal then; some examples."""
    model.decoder.weight.copy_(torch.linalg.qr(model.decoder.weight)[0] * torch.tensor([0.5, 1.0, 2.0]))
    x = examples(model, 4)
    infer_well(model)
    model.encoder.bias[LATENTS:] = true_posterior(model, x).variance[0].log() / 2
    return x


def test_the_closed_form_is_the_evidence_less_the_divergence_from_the_true_posterior(model: VAE) -> None:
    x = examples(model, 4)
    mean, log_scale = model.posterior_features(x).chunk(2, dim=1)
    q = MultivariateNormal(mean, torch.diag_embed((2 * log_scale).exp()))
    expected = evidence(model, x) - kl_divergence(q, true_posterior(model, x))
    torch.testing.assert_close(-_negative_bound(model, x), expected.mean())


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize(("beta", "warmup_steps"), [(1.0, 0), (0.4, 0), (2.0, 10)])
@pytest.mark.parametrize("name", GRADIENTS)
def test_every_estimator_has_the_gradient_of_the_bound_as_its_mean(
    model: VAE, name: str, beta: float, warmup_steps: int, samples: int
) -> None:
    """Three tenths through the warm-up, where there is one."""
    loss = ELBO(beta, warmup_steps, samples=samples, gradient=name)
    loss.at_step(3)
    x = examples(model, 4)
    weight = beta * (0.3 if warmup_steps else 1.0)
    expected = gradient(_negative_bound(model, x, weight), model)
    found = measured(loss, model, x, copies=400)
    assert found.agrees_with(expected)
    assert found.error.max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize("name", GRADIENTS)
def test_the_metrics_are_those_of_the_bound_whatever_the_loss_weighs(model: VAE, name: str) -> None:
    free_bits = 5.0 if name == "reparametrised" else 0.0
    loss, x = ELBO(3.0, 10, free_bits, gradient=name), examples(model, 4)
    _, metrics = loss(model, x.repeat(50_000, 1), None)
    assert metrics["nll"].item() == pytest.approx(_negative_bound(model, x).item(), abs=0.05)
    assert metrics["kl"].item() == pytest.approx(_kls(model, x).sum(dim=1).mean().item(), abs=0.05)
    assert metrics["log_likelihood"].item() == pytest.approx(_log_likelihood(model, x).mean().item(), abs=0.05)
    assert not any(value.requires_grad for value in metrics.values())


def test_without_a_baseline_each_score_is_weighed_by_what_is_maximised(model: VAE) -> None:
    x = examples(model, 4)
    torch.manual_seed(1)
    loss, _ = ELBO(2.0, gradient="reinforce")(model, x, None)
    torch.manual_seed(1)
    terms = model.terms(x, gradient="score")
    value = terms.log_likelihood - 2.0 * terms.log_ratios[0].squeeze(-1)
    expected = gradient(-(value.detach() * terms.log_posterior).mean(), model.encoder)
    torch.testing.assert_close(gradient(loss, model.encoder), expected)


def test_sticking_has_no_variance_where_the_posterior_is_exact(model: VAE) -> None:
    x = _make_posterior_exact(model)
    torch.testing.assert_close(_negative_bound(model, x), -evidence(model, x).mean())
    noise = {name: measured(ELBO(gradient=name), model, x, 50, 1, "encoder").variance.max() for name in GRADIENTS}
    assert noise["sticking"] < 1e-25
    assert min(noise[name] for name in GRADIENTS if name != "sticking") > 1e-2


@pytest.mark.parametrize(("samples", "share"), [(1, 0.9), (4, 0.6)])
def test_a_baseline_takes_variance_away(model: VAE, samples: int, share: float) -> None:
    x, noise = examples(model, 4), []
    for name in ("reinforce_baseline", "reinforce"):
        torch.manual_seed(1)
        noise.append(measured(ELBO(samples=samples, gradient=name), model, x, 300, 4, "encoder").variance.sum())
    assert noise[0] < share * noise[1]


def test_more_draws_take_variance_away_in_proportion(model: VAE) -> None:
    x = examples(model, 4)
    for name in ("reparametrised", "sticking", "reinforce"):
        one, eight = (
            measured(ELBO(samples=samples, gradient=name), model, x, 500, 20).variance.sum() for samples in (1, 8)
        )
        assert one / eight == pytest.approx(8, rel=0.25), name


def test_free_bits_hold_for_the_mean_over_the_batch_of_each_latent(model: VAE) -> None:
    """Two examples of which one alone is below the threshold, and latents on both sides of it."""
    x = examples(model, 2)
    kls = _kls(model, x)
    threshold = kls.mean(dim=0).median().item() + 1e-3
    paid = kls.mean(dim=0) > threshold
    assert paid.sum() == 1
    loss = ELBO(1.0, free_bits=threshold)
    torch.manual_seed(1)
    value, metrics = loss(model, x, None)
    torch.manual_seed(1)
    likelihood = model.terms(x).log_likelihood.mean()
    expected = kls.mean(dim=0)[paid].sum() + 2 * threshold - likelihood
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient(value, model), gradient(kls.mean(dim=0)[paid].sum() - likelihood, model))
    torch.testing.assert_close(metrics["kl"], kls.sum(dim=1).mean())


def test_the_weight_is_a_function_of_the_step_and_rises_from_nought_to_beta(model: VAE) -> None:
    x = examples(model, 4)
    loss, values = ELBO(2.0, warmup_steps=10), []
    for step in (0, 5, 10, 10_000, 5):
        loss.at_step(step)
        torch.manual_seed(1)
        value, metrics = loss(model, x, None)
        values.append(((value + metrics["log_likelihood"]) / metrics["kl"]).item())
    assert values == pytest.approx([0.0, 1.0, 2.0, 2.0, 1.0])
    torch.manual_seed(1)
    before_any_step, _ = ELBO(2.0, warmup_steps=10)(model, x, None)
    assert before_any_step.item() == pytest.approx(-metrics["log_likelihood"].item())


def test_images_are_scored_in_bits_per_dim() -> None:
    shape = (1, 2, 3)
    vae = VAE(shape, 2, MLPNetworks(8), Diagonal(2), StandardNormal([2]), Bernoulli(shape, 2))
    loss, metrics = ELBO()(vae, torch.randint(2, (9, *shape)), None)
    assert set(metrics) == {"bits_per_dim", "kl", "log_likelihood"}
    nats = metrics["kl"] - metrics["log_likelihood"]
    assert loss.item() == pytest.approx(metrics["bits_per_dim"].item())
    assert loss.item() == pytest.approx(nats.item() / (6 * math.log(2)))


def test_mistakes_are_told() -> None:
    with pytest.raises(UserError, match=r"objective=elbo needs a variational autoencoder .*, and NICE is none"):
        ELBO().check(NICE((1, 8, 8), 17, 2, 1, 8))
    with pytest.raises(UserError, match=r"^objective\.beta must be at least 0, got -1.*\nobjective\.free_bits"):
        ELBO(beta=-1.0, free_bits=-2.0)
    with pytest.raises(UserError, match=r"^objective\.samples must be at least 1, got 0$"):
        ELBO(samples=0)
    for name in GRADIENTS[1:]:
        with pytest.raises(UserError, match=r"^objective\.free_bits=0\.5 needs the KL of each unit"):
            ELBO(free_bits=0.5, gradient=name)
