"""Power iteration in a run: the same on every rank, after every resumption, and for averaged weights."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from training_toys import digits, module, standard_callbacks, trainer

from genmodels.models import IResNet, Model, ResidualFlow
from genmodels.networks.lipschitz import Lipschitz, LipschitzConv2d
from genmodels.training import read_checkpoint

MODELS = {
    "iresnet": lambda: IResNet((1, 8, 8), 17, num_scales=1, num_blocks=1, width=4),
    "residual_flow": lambda: ResidualFlow((1, 8, 8), 17, num_scales=1, num_blocks=1, width=4, dense_blocks=1),
}


class Dump(pl.Callback):
    """Writes each rank's weights and buffers, in front of every step and at the end."""

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self._dump(trainer, pl_module, str(trainer.global_step))

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._dump(trainer, pl_module, "end")

    def _dump(self, trainer: pl.Trainer, pl_module: Any, when: str) -> None:
        folder = Path(trainer.default_root_dir) / "dumps"
        folder.mkdir(exist_ok=True, parents=True)
        torch.save(pl_module.model.state_dict(), folder / f"{when}-{trainer.global_rank}.pt")


def _train(name: str, folder: Path, resume: bool = False, **options: Any) -> Model:
    torch.manual_seed(0)
    model = MODELS[name]()
    fitted = trainer(folder, [*standard_callbacks(every_n_steps=1), Dump()], **options)
    last = folder / "checkpoints" / "last.ckpt" if resume else None
    fitted.fit(module(model), datamodule=digits(), ckpt_path=last, weights_only=True)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_a_resumed_run_ends_as_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    """Though the checkpoint of step 4 is written after a validation, which normalises other weights."""
    _train(name, tmp_path / "straight", max_steps=6)
    _train(name, tmp_path / "stopped", max_steps=4)
    _train(name, tmp_path / "stopped", resume=True, max_steps=6)
    ends = [torch.load(tmp_path / run / "dumps" / "end-0.pt", weights_only=True) for run in ("straight", "stopped")]
    directions = [key for key in ends[0] if key.endswith("direction")]
    assert directions
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
    start = torch.load(tmp_path / "straight" / "dumps" / "0-0.pt", weights_only=True)
    assert not any(torch.equal(start[key], ends[0][key]) for key in directions)


def test_ranks_agree_in_every_step(tmp_path: Path) -> None:
    """Under noise of their own, and though rank 0 alone has initialised."""
    _train("residual_flow", tmp_path, max_steps=3, devices=2, strategy="ddp_fork")
    for when in ("1", "2", "end"):
        ranks = [torch.load(tmp_path / "dumps" / f"{when}-{rank}.pt", weights_only=True) for rank in (0, 1)]
        assert all(torch.equal(ranks[0][key], ranks[1][key]) for key in ranks[0]), when


def test_the_averaged_weights_of_a_run_are_normalised_when_loaded(tmp_path: Path) -> None:
    model = _train("residual_flow", tmp_path, max_steps=5)
    average = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["callbacks"]["EMA"]["average"]
    model.eval()
    with torch.no_grad():
        model.encode(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
        for parameter in model.parameters():
            parameter.mul_(3.0)
        model.encode(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
        model.load_state_dict(average)
        for layer in model.modules():
            if isinstance(layer, Lipschitz) and not isinstance(layer, LipschitzConv2d):
                norm = float(torch.linalg.matrix_norm(layer.weight, 2))
                expected = layer.weight / max(1.0, norm / 0.98)
                torch.testing.assert_close(layer.normalized(), expected, rtol=1e-3, atol=1e-5)
