"""Mistakes in a user's model that only a call shows."""

import pytest
import torch
from torch import Tensor, nn

from genmodels.models import Glow, Model
from genmodels.models.contract import Batch
from genmodels.runs.trial import trial_errors

IMAGES: Batch = (torch.randint(0, 17, (5, 1, 4, 4), dtype=torch.uint8), torch.arange(5))
VECTORS: Batch = (torch.randn(5, 3), None)


class Right(Model):
    exact = True

    def __init__(self, shape: tuple[int, ...] = (1, 4, 4), levels: int | None = 17) -> None:
        super().__init__()
        self.shape, self.levels = shape, levels
        self.drop = nn.Dropout(0.5)

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.drop(x.flatten(1).double()).sum(1)

    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        if self.levels is None:
            return torch.randn(n, *self.shape)
        return torch.randint(0, self.levels, (n, *self.shape), dtype=torch.uint8)


class Scalar(Right):
    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return super().log_prob(x).mean()


class Floats(Right):
    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return super().sample(n) / 16


class TooBright(Right):
    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return torch.full((n, *self.shape), 17, dtype=torch.uint8)


class Flat(Right):
    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return super().sample(n).flatten(1)


class Raises(Right):
    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return x @ torch.ones(7)


class DecodesFloats(Right):
    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return x.float()

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return z


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (Scalar(), "Scalar.log_prob has to give one number for each example, a tensor [2] of floats, not a tensor []"),
        (
            Floats(),
            "Floats.sample has to give a tensor [2, 1, 4, 4] of uint8 as the data is, not a tensor [2, 1, 4, 4]",
        ),
        (TooBright(), "TooBright.sample gives 17, and the data's values are 0 to 16"),
        (Flat(), "Flat.sample has to give a tensor [2, 1, 4, 4] of uint8 as the data is, not a tensor [2, 16]"),
        (Raises(), "Raises.log_prob fails on 2 examples: RuntimeError"),
        (DecodesFloats(), "DecodesFloats.decode has to give a tensor [2, 1, 4, 4] of uint8 as the data is"),
    ],
)
def test_what_a_model_does_wrong_is_told(model: Model, sentence: str) -> None:
    (told,) = trial_errors(model, IMAGES)
    assert told.startswith(sentence)


def test_a_right_model_is_left_as_it_was() -> None:
    model = Right()
    state = torch.random.get_rng_state()
    assert list(trial_errors(model, IMAGES)) == []
    assert list(trial_errors(Right((3,), None), VECTORS)) == []
    assert torch.equal(torch.random.get_rng_state(), state)
    assert model.training


def test_our_own_models_keep_what_they_promise() -> None:
    assert list(trial_errors(Glow((1, 4, 4), 17, num_scales=1, num_steps=1, width=4), IMAGES)) == []
