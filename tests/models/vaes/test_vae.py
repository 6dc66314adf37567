"""A VAE against a model whose evidence and posterior are known."""

import pytest
import torch
from linear_gaussian import evidence, examples, infer_well, linear_gaussian, true_posterior
from torch.distributions import Normal, kl_divergence

from genmodels.distributions import StandardNormal
from genmodels.errors import UserError
from genmodels.models import VAE, Diagonal


@pytest.fixture
def model() -> VAE:
    torch.manual_seed(0)
    return linear_gaussian()


def test_the_elbo_is_the_evidence_less_the_divergence_from_the_true_posterior(model: VAE) -> None:
    x = examples(model, 6)
    terms = model.terms(x, samples=200_000)
    mean, log_scale = model.posterior_features(x).chunk(2, dim=1)
    q = torch.distributions.MultivariateNormal(mean, torch.diag_embed(log_scale.exp().square()))
    bound = evidence(model, x) - kl_divergence(q, true_posterior(model, x))
    found, error = terms.log_weights.mean(dim=0), terms.log_weights.std(dim=0) / 200_000**0.5
    assert ((found - bound).abs() < 5 * error).all()
    by_parts = terms.log_likelihood.mean(dim=0) - terms.kls[0].sum(dim=1)
    assert ((by_parts - bound).abs() < 5 * terms.log_likelihood.std(dim=0) / 200_000**0.5).all()


def test_importance_weights_average_to_the_evidence(model: VAE) -> None:
    x = examples(model, 6)
    log_weights = infer_well(model).terms(x, samples=100_000).log_weights
    estimate = log_weights.logsumexp(dim=0) - torch.tensor(100_000.0).log()
    assert torch.allclose(estimate, evidence(model, x), atol=0.01)


def test_the_closed_form_of_the_divergence_is_torchs(model: VAE) -> None:
    features = torch.randn(7, 6, dtype=torch.double)
    mean, log_scale = features.chunk(2, dim=1)
    expected = kl_divergence(Normal(mean, log_scale.exp()), Normal(torch.zeros_like(mean), 1.0))
    assert torch.allclose(model.posterior.kl(features, model.prior), expected)


def test_samples_have_the_models_own_distribution(model: VAE) -> None:
    x = examples(model, 200_000)
    weight = model.decoder.weight
    expected = weight @ weight.T + 0.7**2 * torch.eye(5)
    assert torch.allclose(torch.cov(x.T), expected, atol=0.02)
    assert torch.allclose(x.mean(dim=0), model.decoder.bias, atol=0.02)


def test_the_joint_is_prior_times_likelihood(model: VAE) -> None:
    x, z = examples(model, 4), torch.randn(4, 3, dtype=torch.double)
    prior = Normal(0.0, 1.0).log_prob(z).sum(dim=1)
    likelihood = Normal(z @ model.decoder.weight.T + model.decoder.bias, 0.7).log_prob(x).sum(dim=1)
    assert torch.allclose(model.log_joint(x, z), prior + likelihood)


def test_sizes_that_do_not_agree_are_refused() -> None:
    with pytest.raises(UserError, match=r"model\.prior is of shape \[2\], and model\.posterior\.num_latents=3"):
        linear_gaussian(prior=StandardNormal([2]))


def test_scales_are_cut_in_all_that_a_diagonal_posterior_says() -> None:
    cut, free = Diagonal(2, [-3, 1]), Diagonal(2)
    mean, log_scale = torch.randn(5, 2).double(), torch.tensor([[-9.0, 3.0], [-2.9, 0.9]]).double()[[0, 1, 0, 1, 0]]
    wild, tame = (torch.cat((mean, s), dim=1) for s in (log_scale, log_scale.clamp(-3, 1)))
    z = torch.randn(5, 2).double()
    assert torch.equal(cut(z, wild), free(z, tame))
    assert torch.equal(cut.pairs(z, wild), free.pairs(z, tame))
    assert torch.equal(cut.centre(wild), mean)
    prior = StandardNormal([2])
    assert torch.equal(cut.kl(wild, prior), free.kl(tame, prior))
    draws = []
    for posterior, features in ((cut, wild), (free, tame)):
        torch.manual_seed(0)
        draws.append(posterior.sample(features))
    assert all(torch.equal(one, other) for one, other in zip(*draws, strict=True))


@pytest.mark.parametrize("log_scales", [[1, -3], [1, 1], [-3]])
def test_a_range_of_scales_that_is_none_is_refused(log_scales: list[float]) -> None:
    with pytest.raises(UserError, match=r"^model\.posterior\.log_scales has to be a lower and a higher number"):
        Diagonal(2, log_scales)
