"""K-sample likelihoods on a model whose exact likelihood is a short sum."""

import math

import numpy as np
import pytest
import torch
from linear_gaussian import evidence, examples, infer_well, linear_gaussian
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.evaluation.metrics import Figure, Likelihood, Trained
from genmodels.evaluation.metrics.likelihood import log_likelihoods
from genmodels.models import Model
from genmodels.models.contract import Batch
from genmodels.objectives import NegativeLogLikelihood
from genmodels.randomness import seed_for, seeded

IMAGES = 2000


class TwoCoins(Model):
    """A hidden coin z chooses the bias of a visible one: p(x) = sum_z p(z) p(x | z); log_prob draws z at random."""

    exact = False
    shape = (1, 1, 1)
    levels = 2

    def __init__(self) -> None:
        super().__init__()
        self.prior = nn.Parameter(torch.tensor([0.9, 0.1]))
        self.heads = nn.Parameter(torch.tensor([0.2, 0.95]))

    def joint(self, x: Tensor) -> Tensor:
        """p(x, z), [B, 2]."""
        heads = x.view(-1, 1).float()
        return self.prior * (heads * self.heads + (1 - heads) * (1 - self.heads))

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        z = torch.randint(2, (len(x), 1))
        return (self.joint(x).gather(1, z).squeeze(1) / 0.5).log()


class Labelled(Model):
    """A log-weight that is a different number for every image and label."""

    exact = False
    shape = (1, 1, 1)
    levels = 256

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(-1.0))

    def log_prob(self, x: Tensor, y: Tensor) -> Tensor:
        return self.scale * (x.flatten().double() + 1000 * y)


def evaluate_likelihood(
    model: Model,
    batches: list[Batch],
    importance_samples: int = 1,
    max_images: int | None = None,
    rows: int = 100,
    seed: int = 0,
) -> Figure:
    trained = Trained(
        model, NegativeLogLikelihood(), "test", lambda _: batches, importance_samples, max_images, rows, seed
    )
    return Likelihood().measure(trained)


def _flips(batch_size: int = 250) -> list[tuple[Tensor, None]]:
    x = torch.arange(IMAGES).remainder(3).eq(0).to(torch.uint8).view(-1, 1, 1, 1)
    return [(part, None) for part in x.split(batch_size)]


def _exact_bits() -> float:
    model = TwoCoins()
    x = torch.cat([x for x, _ in _flips()])
    return float(-model.joint(x).sum(1).log2().mean().detach())


def test_the_bound_tightens_towards_the_exact_value() -> None:
    found = {k: evaluate_likelihood(TwoCoins(), _flips(), importance_samples=k, rows=500) for k in (1, 4, 16, 512)}
    means = [found[k].mean for k in (1, 4, 16, 512)]
    assert means == sorted(means, reverse=True)
    assert all(mean > _exact_bits() for mean in means[:3])
    assert means[3] == pytest.approx(_exact_bits(), abs=0.005)
    assert {f.kind for f in found.values()} == {"bound"}


def test_samples_stay_with_their_image_and_label() -> None:
    x = torch.arange(7, dtype=torch.uint8).view(-1, 1, 1, 1)
    y = torch.arange(7) % 3
    batches = [(x[:4], y[:4]), (x[4:], y[4:])]
    found = evaluate_likelihood(Labelled(), batches, importance_samples=5, rows=9)
    expected = (x.flatten() + 1000 * y).numpy() / math.log(2)
    assert found.mean == pytest.approx(expected.mean(), rel=1e-12)
    assert found.standard_error == pytest.approx(np.std(expected, ddof=1) / math.sqrt(7), rel=1e-12)
    assert found.other_units["nats"] == pytest.approx(expected.mean() * math.log(2), rel=1e-12)
    assert found.num_examples == 7


def test_the_noise_is_a_function_of_the_seed_and_leaves_the_callers_alone() -> None:
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first = evaluate_likelihood(TwoCoins(), _flips(), seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(6)
    assert evaluate_likelihood(TwoCoins(), _flips(), seed=1) == first
    assert evaluate_likelihood(TwoCoins(), _flips(), seed=2) != first


def test_every_batch_has_noise_of_its_own() -> None:
    (batch,) = _flips(IMAGES)
    first, second = log_likelihoods(TwoCoins(), [batch, batch]).chunk(2)
    assert not torch.equal(first, second)


def test_an_exact_model_needs_one_sample() -> None:
    class Exact(Labelled):
        exact = True
        levels = None

    found = evaluate_likelihood(Exact(), [(torch.ones(3, 1, 1, 1), torch.zeros(3))], importance_samples=16)
    assert (found.protocol["importance_samples"], found.kind, found.unit, found.mean) == (1, "exact", "nats", 1.0)


def test_max_images_cuts_within_a_batch() -> None:
    assert evaluate_likelihood(TwoCoins(), _flips(250), max_images=301).num_examples == 301


def test_weights_that_are_not_finite_end_in_a_sentence() -> None:
    model = TwoCoins()
    with torch.no_grad():
        model.heads[0] = torch.nan
    with pytest.raises(UserError, match="not finite"):
        evaluate_likelihood(model, _flips())


def test_nothing_to_score_ends_in_a_sentence() -> None:
    with pytest.raises(UserError, match="nothing to score"):
        evaluate_likelihood(TwoCoins(), [])


def _rows_of(module: nn.Module) -> list[int]:
    """Of every call of it from now on, how many rows go through."""
    seen: list[int] = []
    module.register_forward_hook(lambda _, arguments, __: seen.append(len(arguments[0])))
    return seen


def test_five_thousand_samples_come_near_the_evidence_in_parts_of_bounded_size() -> None:
    """The decoder never sees more than `rows`, and for each part the encoder sees every example once."""
    torch.manual_seed(0)
    model = infer_well(linear_gaussian())
    x = examples(model, 8)
    encoded, decoded = _rows_of(model.encoder), _rows_of(model.decoder)
    found = log_likelihoods(model, [(x, None)], importance_samples=5000, rows=1000)
    assert encoded == [8] * 40
    assert decoded == [1000] * 40
    single = model.terms(x, samples=5000).log_weights.exp()
    error = single.std(dim=0) / single.mean(dim=0) / math.sqrt(5000)
    assert ((found - evidence(model, x)).abs() < 4 * error).all()
    assert error.max() < 0.02


def test_parts_of_a_sum_give_the_whole_sum() -> None:
    """11 samples, 4 at a time: the log-mean-exp of the same 11 weights taken at once."""
    torch.manual_seed(0)
    model = linear_gaussian()
    x = examples(model, 5)
    found = log_likelihoods(model, [(x, None)], importance_samples=11, rows=23, seed=3)
    with torch.no_grad(), seeded(seed_for("evaluation", 3, 0), torch.device("cpu")):
        weights = torch.cat([model.terms(x, samples=k).log_weights for k in (4, 4, 3)])
    assert torch.allclose(found, weights.exp().mean(dim=0).log(), rtol=1e-12)


def test_the_sum_of_many_small_weights_loses_no_digits() -> None:
    class Constant(Labelled):
        def log_prob(self, x: Tensor, y: Tensor) -> Tensor:
            return torch.full((len(x),), -543.25) * -self.scale

    found = log_likelihoods(
        Constant(), [(torch.zeros(1, 1, 1, 1, dtype=torch.uint8), torch.zeros(1))], importance_samples=5000, rows=1
    )
    assert float(found) == pytest.approx(-543.25, abs=1e-9)
