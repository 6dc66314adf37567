"""Examples that lectures work out by hand: change of variables, an affine coupling, and code lengths."""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from genmodels.bijections import Bijection, Compose, Coupling, GaussianConditional, Inverse, Scale, Shift
from genmodels.distributions import Bernoulli, Categorical
from genmodels.models.flows.flow import Flow
from genmodels.objectives.units import bits_per_dim

POINTS = torch.tensor([[0.1], [0.5], [1.0], [2.5], [7.0]], dtype=torch.float64)


class _Log(Bijection):
    """z = log x, the inverse of the lecture's y = exp(x)."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x.log(), -x.log().sum(dim=1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z.exp(), z.sum(dim=1)


def test_the_exponential_of_a_normal_number_is_log_normal() -> None:
    flow = Flow(Compose([_Log(), Scale(1)]), (1,), None).double()  # a scale of 1: a model has parameters
    log_p = stats.lognorm(s=1.0).logpdf(POINTS[:, 0].numpy())
    torch.testing.assert_close(flow.log_prob(POINTS), torch.from_numpy(log_p), rtol=1e-12, atol=1e-12)
    torch.manual_seed(0)
    with torch.no_grad():
        drawn, log_p_of_draws = flow.sample_with_log_prob(20_000)
    assert stats.kstest(drawn[:, 0].numpy(), stats.lognorm(s=1.0).cdf).pvalue > 0.001
    expected = stats.lognorm(s=1.0).logpdf(drawn[:, 0].numpy())
    torch.testing.assert_close(log_p_of_draws, torch.from_numpy(expected), rtol=1e-9, atol=1e-9)


def test_twice_a_normal_number_and_one_is_normal_again() -> None:
    """y = 2 x + 1 has density p_x((y - 1) / 2) / 2: mean 1, deviation 2."""
    scale = Scale(1)
    with torch.no_grad():
        scale.log_scale.fill_(-math.log(2.0))
    flow = Flow(Compose([Shift(-1.0), scale]), (1,), None).double()
    expected = stats.norm(loc=1.0, scale=2.0)
    log_p = torch.from_numpy(expected.logpdf(POINTS[:, 0].numpy()))
    torch.testing.assert_close(flow.log_prob(POINTS), log_p, rtol=1e-7, atol=1e-7)  # log 2 went through float32
    torch.manual_seed(0)
    assert stats.kstest(flow.sample(20_000)[:, 0].numpy(), expected.cdf).pvalue > 0.001


class _ExerciseNet(nn.Module):
    """s(x1) = 0.5 x1 - 1 and t(x1) = 2 x1 + 1 as mean and log-variance of MAF's conditional."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        s, t = 0.5 * x - 1.0, 2.0 * x + 1.0
        return torch.cat((t, 2.0 * s), dim=1)


def test_the_coupling_of_the_exercise() -> None:
    """y2 = x2 exp(s) + t is what MAF's conditional undoes."""
    coupling = Inverse(Coupling(_ExerciseNet(), GaussianConditional()))
    y, log_det = coupling(torch.tensor([[2.0, 3.0]]))
    assert y.tolist() == [[2.0, 8.0]]
    assert log_det.item() == 0.0  # det = exp(s(2)) = 1
    x, log_det = coupling.inverse(torch.tensor([[0.0, 1.0]]))
    assert x.tolist() == [[0.0, 0.0]]
    assert log_det.item() == pytest.approx(1.0)  # det of the inverse: exp(-s(0)) = e


@pytest.mark.parametrize(("heads", "tails", "entropy"), [(1, 1, 1.0), (4, 1, 0.7219)])
def test_the_code_length_of_a_coin_is_its_entropy(heads: int, tails: int, entropy: float) -> None:
    """A model with the coin's own probabilities spends H bits a throw: what bits/dim are."""
    throws = torch.tensor([0] * heads + [1] * tails, dtype=torch.uint8).view(-1, 1, 1, 1)
    p = tails / (heads + tails)
    coin = torch.full((len(throws), 1, 1, 1), math.log(p / (1 - p)), dtype=torch.float64)
    two_sides = torch.tensor([1 - p, p], dtype=torch.float64).log().view(1, 2, 1, 1).expand(len(throws), -1, 1, 1)
    shape = (1, 1, 1)
    for likelihood, params in ((Bernoulli(shape, 2), coin), (Categorical(shape, 2), two_sides)):
        bits = bits_per_dim(likelihood.log_prob(params, throws).flatten(), shape)
        assert float(bits.mean()) == pytest.approx(entropy, abs=5e-5)
        pmf = likelihood.pmf(params[:1], throws[:1], channel=0).flatten()
        assert float(-(pmf * pmf.log2()).sum()) == pytest.approx(entropy, abs=5e-5)
