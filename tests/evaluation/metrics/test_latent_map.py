"""The plane of two latents: what stands where, and how far the aggregate posterior is from the prior."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from image_vae import image_vae, images, shown, tiles, trained
from PIL import Image

from genmodels.errors import UserError
from genmodels.evaluation.metrics import LatentMap
from genmodels.evaluation.metrics.latent_map import draw_means
from genmodels.models import VAE


@torch.no_grad()
def put(model: VAE, mean: tuple[float, float], scale: float) -> VAE:
    """The posterior of every image at the same place."""
    model.encoder.weight.zero_()
    model.encoder.bias.copy_(torch.tensor([*mean, math.log(scale), math.log(scale)]))
    return model


def test_the_manifold_runs_through_the_quantiles(tmp_path: Path) -> None:
    """20 x 20, z1 to the right, z2 upwards: the corners are the quantiles 2.5 and 97.5 %, 1.96 deviations away."""
    torch.manual_seed(0)
    model = image_vae(2)
    _, manifold, _ = LatentMap().measure(trained(model, *images(30), tmp_path)).pictures
    found = tiles(manifold, 20)
    assert found.shape[:2] == (20, 20)
    ends = torch.tensor([[-1.96, 1.96], [1.96, 1.96], [-1.96, -1.96], [1.96, -1.96]])
    corners = found[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.abs(corners - shown(model.decode_mean(ends))).max() < 3
    assert min(np.abs(a - b).max() for i, a in enumerate(corners) for b in corners[:i]) > 10
    third = torch.distributions.Normal(0, 1).icdf(torch.tensor([[2.5, 16.5]]) / 20)  # fourth from the top, third
    assert np.abs(found[3, 2] - shown(model.decode_mean(third))[0]).max() < 2


def test_the_aggregate_posterior_is_drawn_where_it_is(tmp_path: Path) -> None:
    """All at (2, -1) of a panel that spans [-4, 4]: at 6/8 from the left, 5/8 from the top."""
    model = put(image_vae(2), (2.0, -1.0), 0.3)
    *_, densities = LatentMap().measure(trained(model, *images(30), tmp_path)).pictures
    picture = np.asarray(Image.open(densities).convert("RGB")).astype(int)
    for panel, (x, y) in zip(np.split(picture, 2, axis=1), ((4 / 8, 4 / 8), (6 / 8, 5 / 8)), strict=True):
        purple = (abs(panel - [68, 1, 84]) < 12).all(axis=2)  # nought
        yellow = (panel[..., 0] > 200) & (panel[..., 1] > 200) & (panel[..., 2] < 100)  # the highest
        rows, columns = (np.flatnonzero(purple.any(axis=axis)) for axis in (1, 0))
        found_y, found_x = (where.mean() for where in yellow.nonzero())
        assert (found_x - columns[0]) / (columns[-1] - columns[0]) == pytest.approx(x, abs=0.02)
        assert (found_y - rows[0]) / (rows[-1] - rows[0]) == pytest.approx(y, abs=0.02)


def test_the_figure_is_the_divergence_from_the_prior(tmp_path: Path) -> None:
    model = put(image_vae(2), (2.0, -1.0), 0.3)
    found = LatentMap().measure(trained(model, *images(3000), tmp_path))
    exact = 0.5 * (2**2 + 1**2 + 2 * 0.3**2 - 2) - 2 * math.log(0.3)
    assert found.standard_error < 0.03
    assert abs(found.mean - exact) < 4 * found.standard_error
    assert (found.num_examples, found.kind, found.direction) == (3000, "estimate", "lower")


def test_means_have_the_colour_of_their_label() -> None:
    z, labels = torch.randn(30, 2), torch.arange(30) % 3
    (axes,) = draw_means(z, labels).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["0", "1", "2"]
    for label, points in enumerate(axes.collections):
        assert np.allclose(points.get_offsets(), z[labels == label])
    assert len({tuple(points.get_facecolor()[0]) for points in axes.collections}) == 3
    (plain,) = draw_means(z, None).axes
    assert np.allclose(plain.collections[0].get_offsets(), z)


def test_data_without_labels_is_drawn_too(tmp_path: Path) -> None:
    found = LatentMap().measure(trained(image_vae(2), images(5)[0], None, tmp_path))
    assert all(Path(picture).is_file() for picture in found.pictures)


def test_other_than_two_latents_are_refused(tmp_path: Path) -> None:
    sentence = r"draws a plane, and the model has 3 latents: train one with model\.posterior\.num_latents=2"
    with pytest.raises(UserError, match=sentence):
        LatentMap().measure(trained(image_vae(3), *images(5), tmp_path))
