"""Where in the picture which latent has which value."""

from pathlib import Path

import numpy as np
import pytest
import torch
from image_vae import image_vae, images, shown, tiles, trained
from torch.special import ndtr, ndtri

from genmodels.distributions import StandardLogistic, StandardNormal
from genmodels.errors import UserError
from genmodels.evaluation.latents import prior_quantiles
from genmodels.evaluation.metrics import LatentTraversal


def test_quantiles_are_those_of_the_prior() -> None:
    torch.manual_seed(0)
    probabilities = ndtr(torch.linspace(-2.5, 2.5, 11))
    normal = prior_quantiles(StandardNormal([3]), probabilities)
    assert normal.shape == (11, 3)
    assert torch.allclose(normal, ndtri(probabilities)[:, None].expand(11, 3), atol=0.06)
    logistic = prior_quantiles(StandardLogistic([2]), torch.tensor([0.2, 0.5, 0.9]))
    assert torch.allclose(logistic, torch.logit(torch.tensor([0.2, 0.5, 0.9]))[:, None].expand(3, 2), atol=0.05)


def test_each_row_moves_one_latent_the_liveliest_first(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = image_vae(4)
    with torch.no_grad():
        model.encoder.weight[:4] *= torch.tensor([1.0, 3.0, 0.1, 9.0])[:, None]
    x, y = images(40)
    figure = LatentTraversal().measure(trained(model, x, y, tmp_path, batch_size=16))
    variances = model.encode(x).double().var(dim=0)
    assert list(figure.parts) == ["latent 4", "latent 2", "latent 1", "latent 3"]
    assert [value for value, _ in figure.parts.values()] == pytest.approx(variances[[3, 1, 0, 2]].tolist())
    assert figure.mean == pytest.approx(float(variances.mean()))
    found = tiles(figure.pictures[0], 12)
    assert len(found) == 4
    for row, latent in enumerate((3, 1, 0, 2)):
        z = model.encode(x[:1]).repeat(11, 1)
        z[:, latent] = torch.linspace(-2.5, 2.5, 11)
        assert np.array_equal(found[row, 0], np.round(shown(x[:1])[0]))
        assert np.abs(found[row, 1:] - shown(model.decode_mean(z))).max() < 3
    assert np.abs(found[0, 1] - found[0, -1]).max() > 20


def test_at_most_twenty_rows(tmp_path: Path) -> None:
    figure = LatentTraversal().measure(trained(image_vae(25), *images(10), tmp_path))
    assert len(tiles(figure.pictures[0], 12)) == len(figure.parts) == 20


def test_one_example_has_no_variance(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two examples"):
        LatentTraversal().measure(trained(image_vae(2), *images(10), tmp_path, max_examples=1))
