"""The critic beside p / (p + q), and the integrals that compare them, against values known in closed form."""

import json
import math
import runpy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

pytestmark = pytest.mark.slow

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "experiments" / "optimal_discriminator.py"))


class LogRatio(nn.Module):
    """The best score there is, moved by a constant."""

    def __init__(self, moved: float = 0.0) -> None:
        super().__init__()
        self.moved = moved

    def forward(self, x: Tensor) -> Tensor:
        return (SCRIPT["P"].log_prob(x) - SCRIPT["Q"].log_prob(x))[:, 0] + self.moved


def test_the_optimum_is_p_over_p_plus_q() -> None:
    """p = (N(-2, 0.5^2) + N(1.5, 0.8^2)) / 2 and q = 0.7 N(-1, 1) + 0.3 N(3, 0.4^2), at -1 by hand."""
    normal = lambda x, mean, deviation: math.exp(-0.5 * ((x - mean) / deviation) ** 2) / deviation  # noqa: E731
    p = (normal(-1, -2, 0.5) + normal(-1, 1.5, 0.8)) / 2
    q = 0.7 * normal(-1, -1, 1) + 0.3 * normal(-1, 3, 0.4)
    assert SCRIPT["optimum"](torch.tensor([-1.0])).item() == pytest.approx(p / (p + q), rel=1e-5)


def test_the_best_critic_is_nowhere_off_and_says_the_divergence() -> None:
    found = SCRIPT["compared"](LogRatio())
    assert found["largest deviation of D"] < 1e-5
    assert found["JSD by the critic"] == pytest.approx(found["JSD"], abs=1e-6)
    torch.manual_seed(0)
    x = SCRIPT["P"].sample((400_000,)), SCRIPT["Q"].sample((400_000,))
    drawn = (SCRIPT["optimum"](x[0]) * 2).log(), ((1 - SCRIPT["optimum"](x[1])) * 2).log()
    error = math.sqrt(sum(float(part.var()) for part in drawn) / 400_000) / 2
    assert abs(sum(float(part.mean()) for part in drawn) / 2 - found["JSD"]) < 5 * error
    assert 0.99 < found["share of points held to"] < 1


def test_another_critic_is_off_and_says_less() -> None:
    found = SCRIPT["compared"](LogRatio(moved=0.4))
    assert found["largest deviation of log p/q"] == pytest.approx(0.4, rel=1e-4)
    assert found["largest deviation of D"] == pytest.approx(2 / (1 + math.exp(-0.2)) - 1, rel=0.01)
    assert found["JSD by the critic"] < found["JSD"] - 0.005


def test_a_trained_critic_comes_near(tmp_path: Path) -> None:
    found = SCRIPT["main"](tmp_path, steps=400)
    assert found["mean deviation of D"] < 0.02
    assert found["largest deviation of D"] < 0.2
    assert found["JSD"] - 0.005 < found["JSD by the critic"] < found["JSD"]
    kept = json.loads((tmp_path / "optimal_discriminator.json").read_text())
    assert kept["JSD"] == found["JSD"]
    assert (tmp_path / "optimal_discriminator.png").stat().st_size > 10_000
