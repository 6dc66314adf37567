"""The exact likelihood behind the picture of three noises, against quadrature, and a short training of each."""

import json
import math
import runpy
from pathlib import Path

import pytest
import torch

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "experiments" / "dequantisation.py"))
LEVELS = SCRIPT["LEVELS"]


def test_the_entropy_by_hand() -> None:
    shares = [0.04, 0.16, 0.44, 0.28, 0.08]
    assert SCRIPT["entropy"]() == pytest.approx(-sum(p * math.log2(p) for p in shares), rel=1e-9)


def test_the_exact_likelihood_is_the_integral_of_the_density() -> None:
    model = SCRIPT["fit"](SCRIPT["NOISES"]["uniform noise"], 30).model
    v = (torch.arange(LEVELS * 1000, dtype=torch.float64)[:, None] + 0.5) / (LEVELS * 1000)
    with torch.no_grad():
        mass = model.base.log_prob(v).exp().view(LEVELS, 1000).mean(dim=1) / LEVELS
        torch.testing.assert_close(SCRIPT["exact_log_prob"](model).exp(), mass, rtol=1e-5, atol=0.0)


def test_without_noise_the_middle_of_a_cell_stands_for_it() -> None:
    v, log_weight = SCRIPT["NoNoise"](LEVELS)(SCRIPT["data"](), torch.float64)
    assert v.unique().tolist() == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    assert log_weight.unique().item() == pytest.approx(-math.log(LEVELS))


def test_learned_noise_stays_in_the_cell_of_its_level() -> None:
    noise, x = SCRIPT["learned"](), SCRIPT["data"]()
    assert torch.equal(noise.quantize(noise(x, torch.float32)[0]), x)
    one_hot = SCRIPT["OneHot"]()(x.float() / LEVELS - 0.5)
    assert torch.equal(one_hot.argmax(dim=1), x[:, 0].long())


def test_only_noise_gives_bounds(tmp_path: Path) -> None:
    found = SCRIPT["main"](tmp_path, steps=500)
    least = found["entropy"]
    assert found["no noise"]["K = 1"] < 0 < least
    for name in ("uniform noise", "learned noise"):
        bits = found[name]
        assert least < bits["exact"] < bits["K = 64"] + 0.001 < bits["K = 1"]
    gaps = [found[name]["K = 1"] - found[name]["exact"] for name in ("learned noise", "uniform noise")]
    assert gaps[0] < 0.7 * gaps[1]
    assert json.loads((tmp_path / "dequantisation.json").read_text())["no noise"] == found["no noise"]
    assert (tmp_path / "dequantisation.png").stat().st_size > 10_000
