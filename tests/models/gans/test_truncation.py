"""Draws from the middle of the latents alone."""

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.models import GAN
from genmodels.models.gans.adversarial_model import AdversarialModel

DIMENSIONS = 8


class Identity(nn.Module):
    """Shows the latents themselves."""

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return z


def latents(n: int, truncation: float | None, latent: str = "normal", temperature: float = 1.0) -> Tensor:
    critic = nn.Linear(DIMENSIONS, 1)
    model = AdversarialModel(Identity(), critic, (DIMENSIONS,), None, DIMENSIONS, latent=latent)  # type: ignore[arg-type]
    torch.manual_seed(0)
    return model.eval().sample(n, temperature=temperature, truncation=truncation)


@pytest.mark.parametrize("truncation", [0.1, 0.5, 1.0, 2.0])
def test_moments_of_a_truncated_normal(truncation: float) -> None:
    z = latents(20_000, truncation).flatten().double()
    mean, variance, _, kurtosis = map(float, stats.truncnorm.stats(-truncation, truncation, moments="mvsk"))
    assert z.abs().max() <= truncation
    assert z.abs().max() > 0.99 * truncation
    error = (variance / len(z)) ** 0.5
    assert z.mean().item() == pytest.approx(mean, abs=4 * error)
    error_of_variance = variance * ((kurtosis + 2) / len(z)) ** 0.5
    assert z.var().item() == pytest.approx(variance, abs=4 * error_of_variance)


def test_numbers_within_stay_and_the_others_are_drawn_again() -> None:
    """So a row for each truncation shows the same latents."""
    whole, wide, narrow = (latents(50, truncation) for truncation in (None, 1.5, 0.5))
    for truncated, truncation in ((wide, 1.5), (narrow, 0.5)):
        within = whole.abs() <= truncation
        assert torch.equal(truncated[within], whole[within])
        assert (truncated[~within] != whole[~within]).all()


def test_uniform_latents_are_scaled() -> None:
    whole, half, double = (latents(2000, truncation, "uniform") for truncation in (None, 0.5, 2.0))
    assert whole.abs().max() == pytest.approx(1, abs=1e-3)
    assert torch.equal(half, 0.5 * whole)
    assert torch.equal(double, whole)


def test_temperature_comes_on_top() -> None:
    assert torch.equal(latents(50, 0.5, temperature=0.5), 0.5 * latents(50, 0.5))


@pytest.mark.parametrize("truncation", [0.0, -1.0])
def test_no_room_is_refused_under_the_users_key(truncation: float) -> None:
    with pytest.raises(UserError, match=rf"^truncation must be at least 0\.001, got {truncation}$"):
        GAN((2,), None, width=4).eval().sample(3, truncation=truncation)
