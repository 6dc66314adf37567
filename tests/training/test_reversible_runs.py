"""Runs by reversible backpropagation end where ordinary ones end."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_toys import digits, module, standard_callbacks, trainer

from genmodels.config.compose import compose
from genmodels.experiment import train
from genmodels.models import Glow
from genmodels.training import read_checkpoint

SHORT = ("trainer=cpu", "trainer.precision=64-true", "trainer.max_steps=5", "logger=none", "data.batch_size=16")
SMALL = {
    "nice_small": ["model.width=8"],
    "glow_small": ["model.width=8", "model.num_steps=2"],
    "flowpp_small": ["model.width=8", "model.num_blocks=1", "model.num_components=2", "model.dropout=0.2"],
    "irevnet_small": ["model.width=8", "model.num_blocks=[2,1]", "model.dropout=0.1"],
}


def _weights(folder: Path, *overrides: str) -> dict[str, Tensor]:
    train(compose([*SHORT, "callbacks.curves=null", "evaluation.max_images=100", *overrides]), folder)
    return _last(folder)


def _last(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = read_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"]
    return state


@pytest.mark.slow
@pytest.mark.parametrize("model", SMALL)
def test_weights_after_some_steps(model: str, tmp_path: Path) -> None:
    kept = _weights(tmp_path / "kept", f"model={model}", *SMALL[model])
    reversible = _weights(tmp_path / "reversible", f"model={model}", *SMALL[model], "model.reversible=true")
    _assert_equal(reversible, kept)


@pytest.mark.slow
def test_a_run_goes_on_reversibly(tmp_path: Path) -> None:
    """A RealNVP after its first step.

    At its start a batch norm leaves the pixels that a coupling does not see within rounding of nought, where the ReLU
    behind it has a kink: even the ordinary gradient is another one, by some percent, for the images in another order.
    """
    small = ["model=realnvp_small", "model.width=4", "model.num_blocks=1"]
    _weights(tmp_path / "kept", *small, "trainer.max_steps=1")
    shutil.copytree(tmp_path / "kept", tmp_path / "reversible")
    for name, reversible in (("kept", "false"), ("reversible", "true")):
        overrides = ["trainer.max_steps=6", f"model.reversible={reversible}"]
        train({**compose(), "resume": str(tmp_path / name)}, tmp_path, overrides)
    _assert_equal(_last(tmp_path / "reversible"), _last(tmp_path / "kept"))


def _assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    # Biases before a batch norm have no gradient but rounding, which Adam makes steps of.
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-6, msg=name)


def test_two_processes_average_their_gradients(tmp_path: Path) -> None:
    ends = {}
    for reversible in (False, True):
        torch.manual_seed(0)
        model = Glow((1, 8, 8), 17, num_scales=1, num_steps=2, width=6, reversible=reversible).double()
        fitted = trainer(tmp_path / str(reversible), standard_callbacks(), max_steps=4, devices=2, strategy="ddp_fork")
        fitted.fit(module(model), datamodule=digits(batch_size=32))
        ends[reversible] = read_checkpoint(tmp_path / str(reversible) / "checkpoints" / "last.ckpt")["state_dict"]
    assert ends[True].keys() == ends[False].keys()
    for name, value in ends[False].items():
        torch.testing.assert_close(ends[True][name], value, rtol=1e-7, atol=1e-9, msg=name)
