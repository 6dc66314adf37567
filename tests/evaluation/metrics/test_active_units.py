"""Latents that are used, counted where the variances of their means are known."""

import math

import pytest
import torch
from linear_gaussian import DATA, LATENTS, linear_gaussian
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.metrics import ActiveUnits, Figure, Trained
from genmodels.models import VAE, Gradient, Model, Terms
from genmodels.objectives import ELBO


def count(model: Model, x: Tensor) -> Figure:
    return ActiveUnits().measure(
        Trained(model, ELBO(), "test", lambda size: [(part, None) for part in x.split(size)], batch_size=64_000)
    )


def with_variances(*variances: float) -> VAE:
    """Posterior means of these variances where x is standard normal; deviation 1 throughout."""
    model = linear_gaussian()
    with torch.no_grad():
        model.encoder.weight.zero_()[:LATENTS, :LATENTS] = torch.tensor(variances).sqrt().diag()
        model.encoder.bias.zero_()
    return model


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(4000, DATA, dtype=torch.double)


@pytest.mark.parametrize(
    ("variances", "active"),
    [((0.5, 0.5, 0.5), 3), ((0.5, 0.0144, 0.006), 2), ((0.0, 0.006, 0.0), 0)],
)
def test_counts_the_means_that_vary_by_more_than_a_hundredth(
    x: Tensor, variances: tuple[float, ...], active: int
) -> None:
    """A mean over 64 draws of deviation 1 varies by 1/64 > 0.01 itself."""
    found = count(with_variances(*variances), x)
    assert (found.mean, found.parts["units"]) == (active, (LATENTS, None))
    assert found.num_examples == 4000
    assert "layer 1" not in found.parts


class TwoLayers(Model):
    """Of 2 x 2 x 2 latents, of which three depend on x, and of two that do both; means far from nought."""

    shape, levels, exact = (DATA,), None, False
    gradients: frozenset[Gradient] = frozenset(("reparametrised",))

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(1.0))

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.terms(x, y).log_weights[0]

    def terms(
        self, x: Tensor, y: Tensor | None = None, samples: int = 1, gradient: Gradient = "reparametrised"
    ) -> Terms:
        first = torch.zeros(len(x), 8, dtype=x.dtype)
        first[:, [0, 3, 6]] = x[:, :3]
        latents = [mean + 100 + torch.randn(samples, *mean.shape) for mean in (first.view(-1, 2, 2, 2), x[:, :2])]
        nought = torch.zeros(samples, len(x))
        return Terms(nought, [nought[..., None]] * 2, [nought[0, :, None]] * 2, nought, latents)


def test_every_layer_is_counted(x: Tensor) -> None:
    found = count(TwoLayers(), x)
    assert (found.mean, found.parts["units"][0]) == (5, 10)
    assert [found.parts[f"layer {n}"][0] for n in (1, 2)] == [3, 2]


def test_one_example_says_nothing(x: Tensor) -> None:
    with pytest.raises(UserError, match="two examples"):
        count(with_variances(1, 1, 1), x[:1])


def test_there_has_to_be_data() -> None:
    with pytest.raises(UserError, match="nothing to measure: the test split is empty"):
        count(with_variances(1, 1, 1), torch.zeros(0, DATA))


def test_variances_do_not_depend_on_how_the_data_comes_in_batches(x: Tensor) -> None:
    from genmodels.evaluation.metrics.active_units import _Spread

    z = torch.randn(7, 90, 3, dtype=torch.double) + x[:90, :3]
    spread = _Spread()
    for part in z.split(25, dim=1):
        spread.add(part)
    expected = z.mean(dim=0).var(dim=0) - z.var(dim=0).mean(dim=0) / 7
    assert torch.allclose(spread.variances(), expected)
    assert not math.isclose(float(expected[0]), float(z.mean(dim=0).var(dim=0)[0]), rel_tol=0.01)
