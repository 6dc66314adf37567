import math

import pytest
import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.models import Model
from genmodels.objectives import NegativeLogLikelihood


class Uniform(Model):
    """The uniform density: over a grid of `levels` values per pixel, or over a cube of side 2."""

    exact = True

    def __init__(self, shape: tuple[int, ...], levels: int | None) -> None:
        super().__init__()
        self.shape, self.levels = shape, levels

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return torch.full((len(x),), -math.log(self.levels or 2) * math.prod(self.shape))


def test_images_in_bits_per_dim() -> None:
    loss, metrics = NegativeLogLikelihood()(Uniform((3, 4, 4), 256), torch.zeros(5, 3, 4, 4, dtype=torch.uint8), None)
    assert loss.item() == pytest.approx(8.0)
    assert list(metrics) == ["bits_per_dim"]


def test_vectors_in_nats() -> None:
    loss, metrics = NegativeLogLikelihood()(Uniform((6,), None), torch.zeros(5, 6), None)
    assert loss.item() == pytest.approx(6 * math.log(2))
    assert metrics["nll"].item() == loss.item()


def test_a_model_without_density_is_refused() -> None:
    with pytest.raises(UserError, match=r"nll needs a model with a density \(exact, log_prob\), and Model is none"):
        NegativeLogLikelihood().check(Model())
