"""The Fréchet distance as a figure."""

import pytest
import torch
from drawing_toys import Replays, asked

from genmodels.evaluation.metrics import FID


def normal(n: int, seed: int, mean: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    return mean + scale * torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


def test_two_gaussians() -> None:
    """N(0, I) and N(m, s^2 I) in the plane: |m|^2 + 2 (1 - s)^2, but for what 20,000 draws leave open."""
    model = Replays(normal(20_000, 0, mean=2.0, scale=3.0))
    figure = FID().measure(asked(model, normal(20_000, 1), num_samples=20_000, batch_size=5000))
    assert figure.mean == pytest.approx(2 * 4 + 2 * 4, rel=0.02)
    assert figure.standard_error is None


def test_zero_for_the_same_set() -> None:
    x = normal(500, 0)
    figure = FID().measure(asked(Replays(x.flip(0)), x, num_samples=500))
    assert figure.mean == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("samples", "real", "size"), [(100, 1000, 100), (1000, 1000, 500), (1000, 601, 300)])
def test_real_against_real_is_of_the_samples_number_where_it_can_be(samples: int, real: int, size: int) -> None:
    figure = FID().measure(asked(Replays(normal(samples, 0)), normal(real, 1), num_samples=samples))
    ((name, (value, error)),) = figure.parts.items()
    assert name == f"real against real, {size} each"
    assert 0 < value < 0.2
    assert error is None


def test_a_perfect_model_gets_what_real_data_gets() -> None:
    """In the mean over 400 sets, but for the numbers of points."""
    own, noise = [], []
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        x, y = torch.randn(600, 2, generator=generator).split((200, 400))
        figure = FID().measure(asked(Replays(x), y, num_samples=200))
        own.append(figure.mean)
        noise += [value for value, _ in figure.parts.values()]
    # 200 against 400 has the variances 1/200 + 1/400, the halves 1/200 + 1/200.
    assert sum(own) / sum(noise) == pytest.approx(0.75, abs=0.1)


def test_one_real_example_has_no_halves() -> None:
    figure = FID().measure(asked(Replays(normal(50, 0)), normal(3, 1), num_samples=50))
    assert figure.parts == {}
