"""The distance of samples to validation data, which selects a generator's weights."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from training_toys import digits, standard_callbacks, trainer

from genmodels.errors import UserError
from genmodels.features import FrechetMeter, chosen_features
from genmodels.models import GAN
from genmodels.objectives import NonSaturating
from genmodels.randomness import seed_for, seeded
from genmodels.training import AdversarialModule
from genmodels.training.csv_logger import read_series

STILL = partial(torch.optim.SGD, lr=0.0)


def _game(compared: int, shape: tuple[int, ...] = (1, 8, 8), levels: int | None = 17) -> AdversarialModule:
    torch.manual_seed(0)
    return AdversarialModule(GAN(shape, levels, width=8), NonSaturating(compared=compared), STILL)


def _logged(folder: Path, game: AdversarialModule, **options: Any) -> dict[str, float]:
    trainer(folder, standard_callbacks(decay=None), max_steps=1, **options).fit(game, datamodule=digits())
    series = read_series(folder / "metrics.csv")
    return {name: values[1][-1] for name, values in series.items() if name.startswith("val/fid")}


@pytest.mark.parametrize("compared", [300, 290, 40])
def test_as_many_samples_as_examples_are_compared(compared: int, tmp_path: Path) -> None:
    """300 validation images come as 256 and 44."""
    game = _game(compared)
    logged = _logged(tmp_path, game)
    meter = FrechetMeter(chosen_features("small", (1, 8, 8), 17), 17)
    left = compared
    for index, (x, _) in enumerate(digits().val_dataloader()):
        n = min(left, len(x))
        if not n:
            break
        with seeded(seed_for("compared samples", 0, index, 0), torch.device("cpu")):
            meter.add_real(x[:n])
            meter.add_generated(game.model.eval().sample(n))
        left -= n
    assert logged["val/fid_small"] == pytest.approx(meter.distance(), rel=1e-6)
    assert logged["val/fid_small_of_data"] == pytest.approx(meter.real_against_real(), rel=1e-6)
    assert (tmp_path / "checkpoints" / "best.ckpt").exists()


def test_two_ranks_find_the_distance_of_one(tmp_path: Path) -> None:
    """Of a generator whose samples are all alike, whoever draws them."""
    found = []
    for name, options in (("one", {}), ("two", {"devices": 2, "strategy": "ddp_fork_find_unused_parameters_true"})):
        game = _game(300)
        torch.nn.utils.vector_to_parameters(torch.zeros(10**6), game.model.generator.parameters())
        found.append(_logged(tmp_path / name, game, **options)["val/fid_small"])
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_nothing_selects_where_nothing_is_compared(tmp_path: Path) -> None:
    game = _game(0)
    assert game.selection is None
    assert _logged(tmp_path, game) == {}
    assert not (tmp_path / "checkpoints" / "best.ckpt").exists()


def test_vectors_are_compared_as_they_are() -> None:
    selection = _game(10, (2,), None).selection
    assert selection is not None
    assert selection.name == "frechet_vectors"
    assert _game(10, (2, 8, 8)).selection is None  # no features of two channels


def test_too_few_examples_are_told(tmp_path: Path) -> None:
    for compared in (-1, 3):
        with pytest.raises(UserError, match=rf"^objective\.compared must be 0 or at least 4, got {compared}$"):
            NonSaturating(compared=compared)
    data = digits()
    data.validation = 3
    with pytest.raises(UserError, match=r"a validation of 3 examples is too small .* raise data\.validation, or set"):
        trainer(tmp_path, standard_callbacks(), max_steps=1).fit(_game(4), datamodule=data)
