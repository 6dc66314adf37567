"""What a model finds again of an example, against the closed form, and its picture pixel by pixel."""

import math
from pathlib import Path

import numpy as np
import torch
from image_vae import image_vae, images, shown, tiles, trained
from linear_gaussian import DATA, SCALE, examples, linear_gaussian

from genmodels.evaluation.metrics import Reconstruction, Trained
from genmodels.models import VAE
from genmodels.objectives import ELBO


@torch.no_grad()
def test_is_the_closed_form_of_a_linear_model() -> None:
    """E log N(x; W z + b, s^2) = -D/2 log(2 pi s^2) - (|x - W mu - b|^2 + tr(W diag(sigma^2) W')) / (2 s^2)."""
    torch.manual_seed(0)
    model = linear_gaussian()
    x = examples(model, 2000)
    mean, log_scale = model.encoder(x).chunk(2, dim=1)
    weight = model.decoder.weight
    squares = (x - model.decoder(mean)).square().sum(dim=1) + (log_scale.exp().square() @ weight.square().T).sum(dim=1)
    exact = -DATA / 2 * math.log(2 * math.pi * SCALE**2) - squares / (2 * SCALE**2)
    kl = 0.5 * (mean.square() + (2 * log_scale).exp() - 1 - 2 * log_scale).sum(dim=1)
    found = Reconstruction().measure(
        Trained(model, ELBO(), "test", lambda size: [(part, None) for part in x.split(size)], 100, batch_size=10_000)
    )
    noise = found.standard_error / math.sqrt(100)  # the error is mostly of the choice of x, which is the same here
    assert abs(found.mean - float(exact.mean())) < 5 * noise
    assert math.isclose(found.standard_error, float(exact.std()) / math.sqrt(2000), rel_tol=0.05)
    assert math.isclose(found.parts["KL"][0], float(kl.mean()), rel_tol=1e-9)
    assert math.isclose(found.parts["KL"][1], float(kl.std()) / math.sqrt(2000), rel_tol=1e-9)
    assert (found.unit, found.direction, found.num_examples, found.pictures) == ("nats", "higher", 2000, ())


def _rows(model: VAE, n: int, folder: Path, max_examples: int | None = None) -> tuple[np.ndarray, ...]:
    torch.manual_seed(0)
    x, y = images(n)
    figure = Reconstruction().measure(trained(model, x, y, folder, batch_size=7, max_examples=max_examples))
    columns = min(10, n, max_examples or n)
    return tiles(figure.pictures[0], columns), shown(x), shown(model.decode_mean(model.encode(x)))


def test_originals_stand_above_their_reconstructions(tmp_path: Path) -> None:
    found, originals, means = _rows(image_vae(4), 50, tmp_path)
    assert len(found) == 8
    for pair in range(4):
        some = slice(10 * pair, 10 * pair + 10)
        assert np.array_equal(found[2 * pair], np.round(originals[some]))
        assert np.abs(found[2 * pair + 1] - means[some]).max() <= 0.51
    assert np.abs(found[1] - found[3]).max() > 2


def test_rows_that_would_not_be_full_are_left_out(tmp_path: Path) -> None:
    found, originals, means = _rows(image_vae(4), 50, tmp_path, max_examples=13)
    assert len(found) == 2
    assert np.array_equal(found[0], np.round(originals[:10]))
    assert np.abs(found[1] - means[:10]).max() <= 0.51


def test_few_examples_make_a_short_row(tmp_path: Path) -> None:
    found, originals, _ = _rows(image_vae(4), 3, tmp_path)
    assert np.array_equal(found[0], np.round(originals))
