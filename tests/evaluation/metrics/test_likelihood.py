"""K-sample likelihoods on a model whose exact likelihood is a short sum."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.evaluation.metrics import Figure, Likelihood, Trained
from genmodels.evaluation.metrics.likelihood import log_likelihoods
from genmodels.models import Model
from genmodels.models.contract import Batch
from genmodels.objectives import NegativeLogLikelihood

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

    found = evaluate_likelihood(Exact(), [(torch.ones(3, 1), torch.zeros(3))], importance_samples=16)
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
