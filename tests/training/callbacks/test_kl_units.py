"""The KL of each unit from validation to validation."""

from pathlib import Path
from typing import Any

import pytest
import torch
from training_toys import module, standard_callbacks, trainer

from genmodels.data import DataModule
from genmodels.distributions import Gaussian, StandardNormal
from genmodels.models import VAE, Diagonal, MLPNetworks
from genmodels.training import KLUnits
from genmodels.training.callbacks.kl_units import kl_figure


def vae() -> VAE:
    torch.manual_seed(0)
    return VAE((2,), None, MLPNetworks(8, 1), Diagonal(3), StandardNormal([3]), Gaussian((2,), None))


def moons() -> DataModule:
    return DataModule("moons", (2,), None, None, root="unused", batch_size=500, validation=0.1)


def fit(folder: Path, *extra: Any, resume: bool = False, **options: Any) -> dict[str, Any]:
    """The last checkpoint of a few steps."""
    last = folder / "checkpoints" / "last.ckpt"
    fitted = trainer(folder, [*extra, *standard_callbacks()], **options)
    fitted.fit(module(vae(), lr=0.05), datamodule=moons(), ckpt_path=last if resume else None, weights_only=True)
    return torch.load(last, weights_only=True)


@pytest.mark.parametrize("n", [70, 10_000])
def test_takes_the_mean_of_each_unit_with_averaged_weights(tmp_path: Path, n: int) -> None:
    """n = 70 ends within a batch; 10,000 are more than there are."""
    checkpoint = fit(tmp_path, KLUnits(n), max_steps=12, val_check_interval=6)
    found = checkpoint["callbacks"]["KLUnits"]
    assert found["steps"] == [6, 12]
    model = vae()
    model.load_state_dict(checkpoint["callbacks"]["EMA"]["average"])
    x = torch.cat([x for x, _ in moons().val_dataloader()])[:n]
    expected = model.posterior.kl(model.posterior_features(x), model.prior).double().mean(dim=0)
    (means,) = found["means"][-1]
    torch.testing.assert_close(means, expected, rtol=1e-5, atol=0)
    assert not torch.allclose(means, found["means"][0][0], rtol=1e-2)


def test_a_resumed_run_has_the_figures_of_an_uninterrupted_one(tmp_path: Path) -> None:
    straight = fit(tmp_path / "straight", KLUnits(), max_steps=12, val_check_interval=3)
    fit(tmp_path / "resumed", KLUnits(), max_steps=6, val_check_interval=3)
    resumed = fit(tmp_path / "resumed", KLUnits(), resume=True, max_steps=12, val_check_interval=3)
    expected, found = (checkpoint["callbacks"]["KLUnits"] for checkpoint in (straight, resumed))
    assert found["steps"] == expected["steps"] == [3, 6, 9, 12]
    for one, other in zip(found["means"], expected["means"], strict=True):
        assert torch.equal(one[0], other[0])
    pictures = [(tmp_path / run / "kl_units.png").read_bytes() for run in ("straight", "resumed")]
    assert pictures[0] == pictures[1]


def test_looking_does_not_change_the_run(tmp_path: Path) -> None:
    seen, unseen = fit(tmp_path / "with", KLUnits(), max_steps=8), fit(tmp_path / "without", max_steps=8)
    for name, value in seen["state_dict"].items():
        assert torch.equal(value, unseen["state_dict"][name]), name
    assert not (tmp_path / "without" / "kl_units.png").exists()


def test_a_row_for_each_unit_in_the_order_of_what_it_costs_in_the_end() -> None:
    """Columns reach from one validation to the next; layers keep together, a line between them."""
    first = torch.tensor([[9.0, 0.0, 1.0], [0.5, 2.0, 4.0]])
    second = torch.tensor([[3.0, 3.0], [6.0, 7.0]])
    axes, _ = kl_figure([10, 40], [first, second]).axes
    (mesh,) = axes.collections
    assert mesh.get_array().tolist() == [[1, 4], [0, 2], [9, 0.5], [3, 7], [3, 6]]
    assert mesh.get_coordinates()[0, :, 0].tolist() == [0, 10, 40]
    assert mesh.norm.vmax == 9
    assert axes.yaxis_inverted()
    assert [line.get_ydata()[0] for line in axes.lines] == [3]
    assert "19.50 nats" in axes.get_title()


def test_models_without_latents_have_no_picture(tmp_path: Path) -> None:
    from training_toys import train

    train(tmp_path, max_epochs=1, extra=[KLUnits()])
    assert not (tmp_path / "kl_units.png").exists()
