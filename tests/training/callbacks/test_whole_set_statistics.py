"""Statistics of the whole training set in validation and checkpoints."""

from pathlib import Path

import pytest
import torch
from training_toys import module, standard_callbacks, trainer

from genmodels.bijections import WholeSetBatchNorm
from genmodels.data import DataModule
from genmodels.models import MAF
from genmodels.randomness import seed_for, seeded
from genmodels.training.callbacks.whole_set_statistics import WholeSetStatistics
from genmodels.training.checkpoint_io import read_checkpoint


def test_validation_and_checkpoints_see_the_statistics_of_all_training_images(tmp_path: Path) -> None:
    data = DataModule("digits", (1, 8, 8), 17, 10, root="unused", batch_size=100, validation=300)
    model = MAF((1, 8, 8), 17, num_layers=2, num_hidden=1, width=16, alpha=0.05)
    callbacks = [WholeSetStatistics(), *standard_callbacks(decay=None)]
    trainer(tmp_path, callbacks, max_epochs=1).fit(module(model, lr=1e-3), datamodule=data)

    saved = read_checkpoint(tmp_path / "checkpoints" / "best.ckpt")["state_dict"]
    model.load_state_dict({name.removeprefix("model."): value for name, value in saved.items()})
    norms = [m for m in model.modules() if isinstance(m, WholeSetBatchNorm)]
    before = [(norm.running_mean.clone(), norm.running_var.clone()) for norm in norms]

    examples = data.train_dataloader().examples
    x, _ = examples[torch.arange(len(examples))]
    assert len(x) % 100  # the last partial batch counts too
    with seeded(seed_for("statistics", 0, 0), torch.device("cpu")):
        model.set_statistics((part, None) for part in x.split(100))
    for norm, (mean, var) in zip(norms, before, strict=True):
        torch.testing.assert_close(norm.running_mean, mean)
        torch.testing.assert_close(norm.running_var, var)


@pytest.mark.parametrize("ranks", [1, 2])
def test_all_ranks_together_give_the_statistics_of_the_whole_set(ranks: int, tmp_path: Path) -> None:
    data = DataModule("moons", (2,), None, None, root="unused", batch_size=500, validation=55_001)
    model = MAF((2,), None, num_layers=2, num_hidden=1, width=16)
    callbacks = [WholeSetStatistics(), *standard_callbacks(decay=None)]
    options = {"devices": 2, "strategy": "ddp_fork"} if ranks == 2 else {}
    trainer(tmp_path, callbacks, max_steps=3, **options).fit(module(model, lr=1e-3), datamodule=data)

    saved = read_checkpoint(tmp_path / "checkpoints" / "best.ckpt")["state_dict"]
    model.load_state_dict({name.removeprefix("model."): value for name, value in saved.items()})
    found = {name: buffer.clone() for name, buffer in model.named_buffers() if "running" in name}
    alone = DataModule("moons", (2,), None, None, root="unused", batch_size=500, validation=55_001)
    examples = alone.train_dataloader().examples
    model.set_statistics([examples[torch.arange(len(examples))]])
    assert len(examples) == 4_999
    assert len(found) == 4
    for name, buffer in model.named_buffers():
        if name in found:
            torch.testing.assert_close(found[name], buffer)
