"""The importance-weighted bound and its gradients against quadrature over the latent of a linear-Gaussian VAE."""

import math

import numpy as np
import pytest
import torch
from estimators import gradient, measured
from linear_gaussian import evidence, examples, infer_well, linear_gaussian, true_posterior
from torch import Tensor

from genmodels.distributions import StandardNormal
from genmodels.errors import UserError
from genmodels.models import MADE, NICE, VAE, Diagonal, Model
from genmodels.objectives import ELBO, IWAE

UNBIASED = ["reparametrised", "doubly_reparametrised", "reinforce", "reinforce_baseline"]
OF_LATENTS = ["sticking", *UNBIASED[1:]]


@pytest.fixture
def model() -> VAE:
    """One latent, inferred badly."""
    torch.manual_seed(0)
    return linear_gaussian(Diagonal(1), StandardNormal([1]))


def _exact_bound(model: VAE, x: Tensor, samples: int) -> Tensor:
    """The mean of the bound over a batch, the expectation over `samples` draws by Gauss and Hermite."""
    nodes, masses = (torch.from_numpy(part) for part in np.polynomial.hermite_e.hermegauss(40))
    rows = model.posterior_features(x).repeat(len(nodes), 1)
    mean, log_scale = rows.chunk(2, dim=1)
    z = mean + log_scale.exp() * nodes.repeat_interleave(len(x))[:, None]
    weights = model.log_joint(x.repeat(len(nodes), 1), z) - model.posterior(z, rows)
    every = torch.cartesian_prod(*[torch.arange(len(nodes))] * samples).view(-1, samples)
    mass = (masses / math.sqrt(2 * math.pi))[every].prod(dim=1)
    bounds = weights.view(len(nodes), -1)[every].logsumexp(dim=1) - math.log(samples)
    return mass @ bounds.mean(dim=1)


@pytest.mark.parametrize(
    ("name", "samples"), [(name, k) for name in UNBIASED for k in (1, 2, 3) if (name, k) != ("reinforce_baseline", 1)]
)
def test_every_estimator_has_the_gradient_of_the_bound_as_its_mean(model: VAE, name: str, samples: int) -> None:
    x = examples(model, 2)
    expected = gradient(-_exact_bound(model, x, samples), model)
    found = measured(IWAE(samples, name), model, x, copies=400)
    assert found.agrees_with(expected)
    assert found.error.max() < 0.05 * expected.abs().max()


def test_sticking_is_biased_as_soon_as_there_are_two_draws(model: VAE) -> None:
    x = examples(model, 2)
    for samples in (1, 2):
        found = measured(IWAE(samples, "sticking"), model, x, copies=400)
        assert found.agrees_with(gradient(-_exact_bound(model, x, samples), model)) == (samples == 1)


@pytest.mark.parametrize("name", ["sticking", *UNBIASED])
def test_the_metric_is_the_bound_whatever_the_gradient(model: VAE, name: str) -> None:
    x = examples(model, 2)
    _, metrics = IWAE(3, name)(model, x.repeat(50_000, 1), None)
    assert list(metrics) == ["nll"]
    assert metrics["nll"].item() == pytest.approx(-_exact_bound(model, x, 3).item(), abs=0.05)
    assert not metrics["nll"].requires_grad


def test_the_bound_tightens_with_the_draws_up_to_the_evidence(model: VAE) -> None:
    x = examples(infer_well(model, scale=1.5), 50).repeat(200, 1)
    found = [IWAE(samples)(model, x, None)[1]["nll"].item() for samples in (1, 2, 5, 20, 500)]
    gaps = [value + evidence(model, x).mean().item() for value in found]
    assert sorted(gaps, reverse=True) == gaps
    assert gaps[0] > 20 * gaps[-1] > 0


def test_one_draw_is_the_elbo(model: VAE) -> None:
    x, bounds = examples(model, 4), []
    for loss in (ELBO(gradient="sticking"), IWAE(1, "sticking"), IWAE(1, "doubly_reparametrised")):
        torch.manual_seed(1)
        bounds.append(gradient(loss(model, x, None)[0], model))
    torch.testing.assert_close(bounds[1], bounds[0])
    torch.testing.assert_close(bounds[2], bounds[0])


def test_without_noise_where_the_posterior_is_exact(model: VAE) -> None:
    x = examples(model, 4)
    infer_well(model, scale=true_posterior(model, x).variance[0].sqrt().item())
    for name in ("sticking", "doubly_reparametrised"):
        assert measured(IWAE(5, name), model, x, 20, 1, "encoder").variance.max() < 1e-25
    assert measured(IWAE(5, "reparametrised"), model, x, 20, 1, "encoder").variance.max() > 1e-3


def test_a_baseline_takes_variance_away(model: VAE) -> None:
    x, noise = examples(model, 4), []
    for name in ("reinforce_baseline", "reinforce"):
        torch.manual_seed(1)
        noise.append(measured(IWAE(4, name), model, x, 300, 4, "encoder").variance.sum())
    assert noise[0] < 0.2 * noise[1]


def test_the_baseline_of_a_draw_is_the_bound_with_the_geometric_mean_of_the_others(model: VAE) -> None:
    x, count = examples(model, 2), 3
    torch.manual_seed(1)
    loss, _ = IWAE(count, "reinforce_baseline")(model, x, None)
    torch.manual_seed(1)
    terms = model.terms(x, samples=count, gradient="score")
    expected = torch.zeros(())
    for example in range(len(x)):
        weights = terms.log_weights[:, example].exp()
        bound = weights.mean().log()
        expected = expected - bound
        for k in range(count):
            others = [weights[j].detach() for j in range(count) if j != k]
            baseline = ((sum(others) + torch.stack(others).prod() ** (1 / len(others))) / count).log()
            expected = expected - (bound.detach() - baseline) * terms.log_posterior[k, example]
    torch.testing.assert_close(loss, expected / len(x))


def test_a_flow_on_dequantised_images_is_trained_by_it() -> None:
    torch.manual_seed(0)
    flow = NICE((1, 4, 4), 17, 2, 1, 8)
    x = torch.randint(17, (6, 1, 4, 4))
    torch.manual_seed(1)
    loss, metrics = IWAE(3)(flow, x, None)
    torch.manual_seed(1)
    weights = flow.log_prob(x.repeat(3, 1, 1, 1)).view(3, 6).exp()
    assert loss.item() == pytest.approx(-weights.mean(dim=0).log().mean().item() / (16 * math.log(2)))
    assert metrics["bits_per_dim"].item() == loss.item()
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in flow.parameters())


def test_models_and_gradients_that_do_not_go_together() -> None:
    flow = NICE((1, 4, 4), 17, 2, 1, 8)
    IWAE().check(flow)
    for name in OF_LATENTS:
        IWAE(2, name).check(linear_gaussian())
        with pytest.raises(UserError, match=rf"^objective\.gradient={name} needs a variational autoencoder .* NICE is"):
            IWAE(2, name).check(flow)
    for exact in (NICE((4,), None, 2, 1, 8), MADE((4,), None, 1, 1, 8)):
        with pytest.raises(UserError, match=r"needs none, for it gives log p\(x\): choose objective=nll"):
            IWAE().check(exact)
    with pytest.raises(UserError, match="objective=iwae needs a model with a density"):
        IWAE().check(Model())


def test_one_layer_of_latents_alone_is_weighed_twice() -> None:
    hierarchy = linear_gaussian()
    del hierarchy.prior
    IWAE(2, "sticking").check(hierarchy)
    with pytest.raises(UserError, match=r"doubly_reparametrised needs .* with one layer of latents"):
        IWAE(2, "doubly_reparametrised").check(hierarchy)


def test_a_number_of_draws_has_to_be_one_that_it_can_be() -> None:
    with pytest.raises(UserError, match=r"^objective\.samples must be at least 1, got 0$"):
        IWAE(0)
    with pytest.raises(UserError, match=r"^objective\.gradient=reinforce_baseline needs objective\.samples of 2"):
        IWAE(1, "reinforce_baseline")
