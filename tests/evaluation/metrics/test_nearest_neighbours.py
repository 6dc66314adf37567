"""Whether copies of training examples are found out."""

from pathlib import Path

import numpy as np
import pytest
import torch
from drawing_toys import Replays, asked
from PIL import Image
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.metrics import Figure, NearestNeighbours


def normal(n: int, seed: int) -> Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))


def measured(samples: Tensor, real: Tensor, training: Tensor) -> Figure:
    return NearestNeighbours().measure(asked(Replays(samples), real, training, num_samples=len(samples)))


def test_by_hand() -> None:
    """Training at 0 and 10: samples at 1 and 13 are 2 away in the mean, the real ones at -4, 4 and 6 are 4 away."""
    figure = measured(*(torch.tensor(v)[:, None] for v in ([1.0, 13.0], [-4.0, 4.0, 6.0], [0.0, 10.0])))
    assert figure.mean == pytest.approx(0.5)
    assert figure.standard_error == pytest.approx(1 / 4)  # deviation of 1 and 3: sqrt(2); / sqrt(2) / 4
    assert figure.pictures == ()
    assert (figure.protocol["num_real"], figure.protocol["num_training"]) == (3, 2)


def test_one_for_new_draws_and_zero_for_copies() -> None:
    training, real = normal(400, 0), normal(400, 1)
    new, copies = measured(normal(400, 2), real, training), measured(training[:300], real, training)
    assert new.mean == pytest.approx(1, abs=4 * (new.standard_error or 0))
    assert copies.mean == pytest.approx(0, abs=1e-6)
    (low, _) = new.parts["ratio of the lowest percents"]
    assert 0.5 < low < 2


def test_a_few_copies_show_in_the_lowest_percent() -> None:
    training = normal(400, 0)
    samples = torch.cat((normal(380, 2), training[:20]))
    figure = measured(samples, normal(400, 1), training)
    assert figure.mean > 0.85
    assert figure.parts["ratio of the lowest percents"][0] < 1e-6


def test_the_error_is_the_spread_of_repeats() -> None:
    training = normal(300, 0)
    figures = [measured(normal(100, 2 * seed + 1), normal(100, 2 * seed + 2), training) for seed in range(80)]
    spread = torch.tensor([figure.mean for figure in figures]).std()
    errors = torch.tensor([figure.standard_error or 0.0 for figure in figures])
    assert float(errors.mean() / spread) == pytest.approx(1, abs=0.25)


@pytest.mark.usefixtures("empty_caches")
def test_the_picture_has_neighbours_below_samples(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    training = torch.randint(17, (40, 1, 8, 8), generator=generator, dtype=torch.uint8)
    real = torch.randint(17, (15, 1, 8, 8), generator=generator, dtype=torch.uint8)
    chosen = torch.randperm(40, generator=generator)[:14]
    model = Replays(training[chosen], levels=17)
    trained = asked(model, real, training, folder=tmp_path, num_samples=14, batch_size=6, features="small")
    figure = NearestNeighbours().measure(trained)
    assert figure.mean == pytest.approx(0, abs=1e-4)
    assert figure.pictures == (str(tmp_path / "nearest_neighbours_small.png"),)
    picture = np.asarray(Image.open(figure.pictures[0]))
    tile = 66
    assert picture.shape == (2 * tile - 2, 10 * tile - 2)  # a row that is not full is left out
    assert np.array_equal(picture[:64], picture[tile:])
    shown = torch.from_numpy(picture[:64:8, :64:8].copy()).double()
    torch.testing.assert_close(shown, (training[chosen[0], 0].double() * 255 / 16).round(), rtol=0, atol=1)


def test_held_out_examples_are_needed() -> None:
    x = normal(20, 0)
    with pytest.raises(UserError, match="choose split=test or split=val"):
        NearestNeighbours().check(asked(Replays(x), x, x, split="train", num_samples=5))
    with pytest.raises(UserError, match="every held-out example is a training example"):
        measured(x[:5], x, x)
