"""What every posterior must fulfil, and how much of the evidence each reaches where that is known."""

import math

import pytest
import torch
from linear_gaussian import SCALE, evidence, linear_gaussian
from torch import Tensor
from vae_parts import FLOWS, POSTERIORS, PRIORS, grid, stirred, vae

from genmodels.bijections import Autoregressive, Compose, GaussianConditional, Inverse
from genmodels.config.compose import CONFIG_DIR
from genmodels.distributions import StandardNormal
from genmodels.errors import UserError
from genmodels.models import (
    Diagonal,
    FlowPosterior,
    FullCovariance,
    IAFPosterior,
    PlanarPosterior,
    Posterior,
    RadialPosterior,
)
from genmodels.networks import MADENet

UNBOUNDED = [name for name in POSTERIORS if name != "diagonal_bounded"]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _case(name: str, latents: int, rows: int) -> tuple[Posterior, Tensor]:
    """A posterior and features of moderate size for it."""
    posterior = stirred(POSTERIORS[name](latents).double())
    features = torch.randn(rows, posterior.num_features, dtype=torch.double)
    features[:, latents : 2 * latents].mul_(0.3)
    return posterior, features


def test_every_config_is_tested() -> None:
    for group, parts in (("posterior", POSTERIORS), ("prior", PRIORS)):
        assert {file.stem for file in (CONFIG_DIR / "model" / group).glob("*.yaml")} <= set(parts)


@pytest.mark.parametrize("name", POSTERIORS)
@pytest.mark.parametrize("latents", [1, 3])
def test_a_draw_comes_with_the_density_that_it_is_given_afterwards(name: str, latents: int) -> None:
    posterior, features = _case(name, latents, 20)
    z, log_q = posterior.sample(features)
    assert z.shape == (20, latents)
    torch.testing.assert_close(posterior(z, features), log_q, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", POSTERIORS)
@pytest.mark.parametrize("latents", [1, 2])
@torch.no_grad()
def test_densities_integrate_to_one_and_are_those_of_the_draws(name: str, latents: int) -> None:
    posterior, features = _case(name, latents, 1)
    z, cell = grid(latents, points=4001 if latents == 1 else 601)
    density = posterior(z, features.expand(len(z), -1)).exp() * cell
    assert float(density.sum()) == pytest.approx(1.0, abs=2e-3)
    drawn, _ = posterior.sample(features.expand(200_000, -1))
    for function in (torch.sin, torch.cos, lambda v: torch.tanh(v - 1.0)):  # bounded: some tails are heavy
        torch.testing.assert_close(function(drawn).mean(dim=0), density @ function(z), atol=0.01, rtol=0.0)


@pytest.mark.parametrize("name", FLOWS)
def test_the_density_is_that_of_the_noise_by_the_jacobian_of_the_draw(name: str) -> None:
    posterior, features = _case(name, 3, 4)
    normal, context = posterior._split(features)
    noise, log_density = posterior.base.sample(normal)
    z, _ = posterior.bijection.inverse(noise, context)
    for row in range(4):
        given = None if context is None else context[row : row + 1]
        jacobian = torch.autograd.functional.jacobian(
            lambda v, c=given: posterior.bijection.inverse(v[None], c)[0][0], noise[row]
        )
        expected = log_density[row] - torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(posterior(z, features)[row], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", UNBOUNDED)
def test_the_centre_is_where_the_draws_go_as_the_deviation_vanishes(name: str) -> None:
    posterior, features = _case(name, 3, 5)
    features[:, 3:6] = -30.0
    if name == "full_covariance":
        features[:, 6:] = 0.0
    z, _ = posterior.sample(features)
    torch.testing.assert_close(posterior.centre(features), z, rtol=1e-9, atol=1e-9)
    assert torch.equal(posterior.centre(features), posterior.centre(features))


@pytest.mark.parametrize("name", POSTERIORS)
def test_gradients_of_the_density_with_respect_to_latents_and_features(name: str) -> None:
    posterior, features = _case(name, 3, 4)
    z = torch.randn(4, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(posterior, (z, features.requires_grad_()))


@pytest.mark.parametrize("name", UNBOUNDED)
def test_gradients_of_a_draw_reach_all_that_the_encoder_gives(name: str) -> None:
    posterior, features = _case(name, 3, 4)
    z, log_q = posterior.sample(features.requires_grad_())
    (z.square().sum() + log_q.sum()).backward()
    assert features.grad is not None
    assert (features.grad != 0).all()
    assert all(parameter.grad is not None for parameter in posterior.parameters())


@pytest.mark.parametrize("name", POSTERIORS)
def test_pairs_are_the_densities_one_by_one(name: str) -> None:
    posterior, features = _case(name, 3, 4)
    z = torch.randn(6, 3, dtype=torch.double)
    expected = torch.stack([posterior(z, one.expand(6, -1)) for one in features], dim=1)
    torch.testing.assert_close(posterior.pairs(z, features), expected, rtol=1e-9, atol=1e-9)


def test_the_full_covariance_is_torchs() -> None:
    posterior, features = _case("full_covariance", 3, 4)
    mean, log_diagonal, below = features[:, :3], features[:, 3:6], features[:, 6:]
    factor = torch.diag_embed(log_diagonal.exp())
    factor[:, 1, 0], factor[:, 2, 0], factor[:, 2, 1] = below.unbind(dim=1)
    q = torch.distributions.MultivariateNormal(mean, scale_tril=factor)
    z = torch.randn(4, 3, dtype=torch.double)
    torch.testing.assert_close(posterior(z, features), q.log_prob(z))
    p = torch.distributions.MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double())
    kl = posterior.kl(features, StandardNormal([3]))
    torch.testing.assert_close(kl.sum(dim=1), torch.distributions.kl_divergence(q, p))
    drawn, _ = posterior.sample(features[:1].expand(200_000, -1))
    torch.testing.assert_close(torch.cov(drawn.T), (factor[0] @ factor[0].T).detach(), atol=0.05, rtol=0.03)


def test_the_divergence_of_a_unit_is_that_of_a_latent_given_those_before_it() -> None:
    posterior, features = _case("full_covariance", 2, 1)
    mean, log_diagonal, below = features[0, :2], features[0, 2:4], features[0, 4]
    earlier = torch.randn(400_000, dtype=torch.double)
    q = torch.distributions.Normal(mean[1] + below * earlier, log_diagonal[1].exp())
    found = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).mean()
    assert float(found) == pytest.approx(float(posterior.kl(features, StandardNormal([2]))[0, 1]), rel=0.01)


@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("prior", PRIORS)
def test_the_terms_add_up(posterior: str, prior: str) -> None:
    model = vae(posterior, prior)
    x = torch.randn(4, 5, dtype=torch.double)
    features = model.posterior_features(x)
    for gradient in ("reparametrised", "sticking", "score"):
        terms = model.terms(x, samples=3, gradient=gradient)  # type: ignore[arg-type]
        for draw in range(3):
            z = terms.latents[0][draw]
            log_q = model.posterior(z, features)
            torch.testing.assert_close(terms.log_posterior[draw], log_q, rtol=1e-9, atol=1e-9)
            expected = model.log_joint(x, z) - log_q
            torch.testing.assert_close(terms.log_weights[draw], expected, rtol=1e-9, atol=1e-9)
    many = model.terms(x, samples=5_000)
    found, error = many.log_ratios[0].sum(dim=2).mean(dim=0), many.log_ratios[0].sum(dim=2).std(dim=0) / 5_000**0.5
    assert ((found - many.kls[0].sum(dim=1)).abs() < 5 * error).all()
    has_closed_form = prior == "normal" and posterior in ("diagonal", "diagonal_bounded", "full_covariance")
    assert many.kls[0].shape == ((4, 3) if has_closed_form else (4, 1))


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_sticking_gradients_are_those_of_the_bound_in_expectation(posterior: str) -> None:
    model = vae(posterior, latents=2)
    x = torch.randn(1, 5, dtype=torch.double).expand(50, -1)

    def gradients(path: str) -> Tensor:
        drawn = []
        for _ in range(100):
            log_weight = model.terms(x, samples=2, gradient=path).log_weights.mean()  # type: ignore[arg-type]
            found = torch.autograd.grad(log_weight, list(model.encoder.parameters()))
            drawn.append(torch.cat([g.flatten() for g in found]))
        return torch.stack(drawn)

    one, other = gradients("reparametrised"), gradients("sticking")
    error = ((one.var(dim=0) + other.var(dim=0)) / 100).sqrt()
    assert ((one.mean(dim=0) - other.mean(dim=0)).abs() <= 5 * error + 1e-12).all()


def _gap(posterior: Posterior, steps: int, gradient: str = "reparametrised") -> tuple[float, float]:
    """Evidence less bound where q alone has been fitted, a mean over examples, and its least for independent latents.

    The latter's optimum has the precisions of the true posterior: KL = (sum log of its diagonal - log det) / 2.
    """
    model = linear_gaussian(posterior)
    torch.manual_seed(1)  # the same model for every q
    torch.nn.init.normal_(model.decoder.weight, mean=0.4, std=0.2)
    x = model.sample(512)
    optimizer = torch.optim.Adam([*model.encoder.parameters(), *model.posterior.parameters()], lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        (-model.terms(x, gradient=gradient).log_weights.mean()).backward()  # type: ignore[arg-type]
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        gap = float((evidence(model, x) - model.terms(x, samples=200).log_weights.mean(dim=0)).mean())
        weight = model.decoder.weight
        precision = torch.eye(3, dtype=weight.dtype) + weight.T @ weight / SCALE**2
        best = 0.5 * (precision.diagonal().log().sum() - torch.linalg.slogdet(precision).logabsdet)
    return gap, float(best)


def test_independent_latents_miss_what_their_best_fit_has_to_miss() -> None:
    gap, best = _gap(Diagonal(3), 600)
    assert best > 0.1
    assert gap == pytest.approx(best, abs=0.02)


def test_a_full_covariance_reaches_the_evidence() -> None:
    gap, _ = _gap(FullCovariance(3), 600, "sticking")
    assert gap == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize(
    ("posterior", "left"),
    [
        (lambda: IAFPosterior(3, num_steps=2, width=16, context_features=4), 0.2),
        (lambda: POSTERIORS["flow"](3), 0.2),
        (lambda: PlanarPosterior(3, num_maps=2), 0.5),
        (lambda: RadialPosterior(3, num_maps=2), 0.8),
    ],
)
def test_flows_reach_more_than_independent_latents(posterior: object, left: float) -> None:
    gap, best = _gap(posterior(), 400)  # type: ignore[operator]
    assert -0.01 < gap < left * best


def test_densities_far_from_where_a_step_leads_stay_finite() -> None:
    """As the VampPrior asks for them: of draws of one x under another's q, whose noise grows from latent to latent."""
    posterior = stirred(IAFPosterior(20, num_steps=3, width=16, context_features=4))
    features = 5 * torch.randn(50, posterior.num_features)
    features.requires_grad_()
    log_q = posterior.pairs(30 * torch.randn(50, 20), features)
    assert log_q.isfinite().all()
    assert float(log_q.min().detach()) < -1e9
    log_q.logsumexp(dim=1).sum().backward()
    gradients = [features.grad, *(parameter.grad for parameter in posterior.parameters())]
    assert all(gradient.isfinite().all() for gradient in gradients if gradient is not None)


def test_radial_maps_of_no_strength_leave_the_normal_distribution() -> None:
    """softplus(raw) = alpha: beta = 0."""
    posterior = RadialPosterior(2, num_maps=2).double()
    features = torch.randn(5, posterior.num_features, dtype=torch.double)
    for start in (4, 8):
        features[:, start + 2], features[:, start + 3] = 0.0, math.log(math.expm1(1.0))
    z = torch.randn(5, 2, dtype=torch.double)
    torch.testing.assert_close(posterior(z, features), Diagonal(2)(z, features[:, :4]))


@pytest.mark.parametrize("kind", [PlanarPosterior, RadialPosterior, IAFPosterior, FullCovariance])
def test_sizes_below_one_are_refused_by_their_keys(kind: type) -> None:
    with pytest.raises(UserError, match=r"^model\.posterior\.num_latents must be at least 1, got 0"):
        kind(0)
    for key in {"num_maps", "num_steps", "width", "num_hidden", "context_features"} & set(
        kind.__init__.__annotations__  # type: ignore[misc]
    ):
        with pytest.raises(UserError, match=rf"^model\.posterior\.{key} must be at least 1, got 0"):
            kind(2, **{key: 0})


def test_a_context_of_negative_size_is_refused() -> None:
    with pytest.raises(UserError, match=r"model\.posterior\.context_features must be at least 0, got -1"):
        FlowPosterior(2, POSTERIORS["flow"](2).bijection, context_features=-1)  # type: ignore[attr-defined]


def test_latents_far_from_all_that_is_drawn_have_no_density_rather_than_none_that_is_a_number() -> None:
    """The exponentials of plain inverse autoregressive steps overflow there."""
    steps = [Autoregressive(MADENet(2, 2, [8]), GaussianConditional()) for _ in range(3)]
    posterior = FlowPosterior(2, Inverse(Compose(steps))).double()
    with torch.no_grad():
        for parameter in posterior.parameters():
            parameter.mul_(3)
    far = torch.cartesian_prod(*[torch.linspace(-1e3, 1e3, 101, dtype=torch.double)] * 2)
    log_q = posterior(far, torch.randn(1, 4, dtype=torch.double).expand(len(far), -1))
    assert not log_q.isnan().any()
    assert float(log_q.detach().max()) < 0
