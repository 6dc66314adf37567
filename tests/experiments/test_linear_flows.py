"""What the picture of matrices and couplings is computed from, and a short training of each."""

import json
import math
import runpy
from pathlib import Path

import pytest
import torch

from genmodels.bijections import Compose

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "experiments" / "linear_flows.py"))


def test_the_best_normal_distribution_by_hand() -> None:
    """Four points of covariance diag(1, 9): log 2 pi e + log 3."""
    x = torch.tensor([[1.0, 3.0], [1.0, -3.0], [-1.0, 3.0], [-1.0, -3.0]]) + 5.0
    assert SCRIPT["best_normal"](x) == pytest.approx(math.log(2 * math.pi * math.e) + math.log(3.0), rel=1e-6)


def test_couplings_alone_leave_the_first_coordinate() -> None:
    x = torch.randn(50, 2)
    for name, mixed in (("eight couplings", False), ("eight couplings, reversed", True)):
        z, _ = Compose(SCRIPT["FLOWS"][name]())(x)
        assert torch.equal(z[:, 0], x[:, 0]) is not mixed
        assert not torch.allclose(z[:, 1], x[:, 1])


def test_the_seed_that_is_drawn_is_neither_the_best_nor_the_worst() -> None:
    assert SCRIPT["middle_of"]([2.6, 2.4, 2.5]) == 2
    assert SCRIPT["middle_of"]([2.6, 2.4]) == 1


@pytest.mark.slow
def test_a_short_training(tmp_path: Path) -> None:
    found = SCRIPT["main"](tmp_path, steps=250, seeds=2)
    best = found["best normal distribution"]["nats"]
    for name in ("one matrix", "eight matrices"):
        assert all(best - 1e-4 < nats < best + 0.03 for nats in found[name]["seeds"])
    for name in ("eight couplings, reversed", "eight couplings, matrices"):
        assert found["data"]["nats"] < found[name]["nats"] < best - 0.1
    seeds = found["eight couplings"]["seeds"]
    assert found["eight couplings"]["nats"] == pytest.approx(sum(seeds) / 2)
    assert found["eight couplings"]["deviation"] == pytest.approx(abs(seeds[0] - seeds[1]) / math.sqrt(2))
    assert json.loads((tmp_path / "linear_flows.json").read_text())["one matrix"] == found["one matrix"]
    assert (tmp_path / "linear_flows.png").stat().st_size > 10_000
