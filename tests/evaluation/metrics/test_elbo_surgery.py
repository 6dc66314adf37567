"""The terms of the ELBO against mixtures counted out, a known evidence, and the two ends of what they can be."""

import math

import pytest
import torch
from linear_gaussian import LATENTS, evidence, examples, infer_well, linear_gaussian, true_posterior
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal, kl_divergence

from genmodels.errors import UserError
from genmodels.evaluation.metrics import ELBOSurgery, Figure, Trained
from genmodels.models import VAE, Diagonal, Posterior
from genmodels.objectives import ELBO
from genmodels.randomness import seed_for, seeded


class Unaided(Diagonal):
    """The same q without a fast way to all pairs."""

    pairs = Posterior.pairs


def surgery(model: VAE, x: Tensor, max_examples: int | None = None, seed: int = 0) -> Figure:
    """With other data as the split that is asked for, which must not matter."""
    trained = Trained(
        model,
        ELBO(),
        "test",
        batches=lambda size: [(torch.full_like(part, 9.0), None) for part in x[:3].split(size)],
        training_batches=lambda size: [(part, None) for part in x.split(size)],
        max_examples=max_examples,
        batch_size=1000,
        seed=seed,
    )
    return ELBOSurgery().measure(trained)


@pytest.fixture
def model() -> VAE:
    torch.manual_seed(0)
    return linear_gaussian()


@torch.no_grad()
def set_posteriors(model: VAE, slope: float, scale: float) -> None:
    """The first three numbers of x times `slope` as the mean, `scale` as the deviation."""
    model.encoder.weight.zero_()[:LATENTS, :LATENTS] = slope * torch.eye(LATENTS)
    model.encoder.bias.fill_(math.log(scale))[:LATENTS] = 0.0


@pytest.mark.parametrize("posterior", [Diagonal(LATENTS), Unaided(LATENTS)], ids=["products", "loop"])
def test_every_term_is_what_enumeration_gives(posterior: Posterior) -> None:
    torch.manual_seed(0)
    model = linear_gaussian(posterior)
    x = examples(model, 6)
    found = surgery(model, x)
    with torch.no_grad(), seeded(seed_for("elbo surgery", 0), torch.device("cpu")):
        z = model.terms(x).latents[0][0]
        mean, log_scale = model.encoder(x).chunk(2, dim=1)
        decoded = model.decoder(z)
    q = Independent(Normal(mean, log_scale.exp()), 1)
    log_q, log_p = q.log_prob(z), Normal(0.0, 1.0).log_prob(z).sum(dim=1)
    log_marginal = MixtureSameFamily(Categorical(torch.ones(6, dtype=torch.double)), q).log_prob(z)
    log_likelihood = Normal(decoded, 0.7).log_prob(x).sum(dim=1)
    expected = {
        "reconstruction": log_likelihood,
        "average KL": log_q - log_p,
        "mutual information": log_q - log_marginal,
        "marginal KL": log_marginal - log_p,
    }
    for part, values in expected.items():
        assert found.parts[part] == pytest.approx((float(values.mean()), float(values.std()) / math.sqrt(6))), part
    assert found.mean == pytest.approx(float((log_likelihood - log_q + log_p).mean()))
    assert (found.split, found.num_examples, found.protocol) == ("train", 6, {"aggregate_over": 6})


def test_the_parts_add_up(model: VAE) -> None:
    parts = {part: value for part, (value, _) in surgery(model, examples(model, 500)).parts.items()}
    assert parts["average KL"] == pytest.approx(parts["mutual information"] + parts["marginal KL"], abs=1e-10)


@torch.no_grad()
def test_the_elbo_is_the_evidence_less_the_divergence_from_the_true_posterior(model: VAE) -> None:
    x = examples(model, 3000)
    found = surgery(infer_well(model), x)
    mean, log_scale = model.encoder(x).chunk(2, dim=1)
    q = MultivariateNormal(mean, torch.diag_embed(log_scale.exp().square()))
    bound = (evidence(model, x) - kl_divergence(q, true_posterior(model, x))).mean()
    average = kl_divergence(Normal(mean, log_scale.exp()), Normal(torch.zeros_like(mean), 1.0)).sum(dim=1).mean()
    assert found.standard_error < 0.1
    assert abs(found.mean - float(bound)) < 4 * found.standard_error
    assert abs(found.parts["average KL"][0] - float(average)) < 4 * found.parts["average KL"][1]


def test_posteriors_that_separate_tell_which_image_it_was(model: VAE) -> None:
    """All of log 500, although only 50 of them draw: q(z) is over the whole set."""
    set_posteriors(model, slope=1.0, scale=1e-4)
    found = surgery(model, examples(model, 500), max_examples=50)
    assert found.num_examples == 50
    assert found.protocol["aggregate_over"] == 500
    assert found.parts["mutual information"] == pytest.approx((math.log(500), 0.0), abs=1e-7)
    assert found.parts["log N"] == (math.log(500), None)


def test_posteriors_that_coincide_tell_nothing(model: VAE) -> None:
    set_posteriors(model, slope=0.0, scale=0.5)
    found = surgery(model, examples(model, 500))
    exact = LATENTS * (0.5 * (0.25 - 1) + math.log(2))
    assert found.parts["mutual information"] == pytest.approx((0.0, 0.0), abs=1e-9)
    assert abs(found.parts["marginal KL"][0] - exact) < 4 * found.parts["marginal KL"][1]


@pytest.mark.parametrize("scale", [1e-3, 0.05, 0.3, 1.0])
def test_the_information_is_at_most_log_n(model: VAE, scale: float) -> None:
    set_posteriors(model, slope=1.0, scale=scale)
    assert surgery(model, examples(model, 100)).parts["mutual information"][0] <= math.log(100) + 1e-9


def test_the_examples_are_drawn_by_the_seed(model: VAE) -> None:
    x = examples(model, 300)
    state = torch.random.get_rng_state()
    first, again, other = (surgery(model, x, 20, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first == again
    assert first.mean != other.mean


def test_narrow_posteriors_lose_no_digits() -> None:
    """mu = 3 and sigma = e^-9: squares of 1e9 whose difference is about 1; features in float32, as a network's."""
    torch.manual_seed(0)
    features = torch.cat((3 + torch.rand(20, 2), torch.full((20, 2), -9.0)), dim=1)
    z = features[:5, :2].double() + torch.randn(5, 2, dtype=torch.double) * math.exp(-9)
    mean, log_scale = features.double().chunk(2, dim=1)
    expected = Normal(mean, log_scale.exp()).log_prob(z[:, None]).sum(dim=2)
    # sigma of a neighbour is far away: those densities are of the order of -1e8
    torch.testing.assert_close(Diagonal(2).pairs(z, features), expected, rtol=1e-9, atol=1e-5)


def test_weights_that_have_diverged_end_in_a_sentence(model: VAE) -> None:
    x = examples(model, 10)
    with torch.no_grad():
        model.decoder.bias.fill_(torch.nan)
    with pytest.raises(UserError, match="not all finite"):
        surgery(model, x)
