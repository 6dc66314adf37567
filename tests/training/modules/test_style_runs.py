"""StyleGAN2 in training: what it keeps from step to step survives a resumption, and goes with averaged weights."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from training_toys import digits, standard_callbacks, trainer

from genmodels.models import StyleGAN2
from genmodels.objectives import R1, NonSaturating, PathLength
from genmodels.training import EMA, AdversarialModule, read_checkpoint

ADAM = partial(torch.optim.Adam, lr=2e-3, betas=(0.0, 0.99))


def module() -> AdversarialModule:
    torch.manual_seed(0)
    model = StyleGAN2((1, 8, 8), 17, 32, 8, 6, 7, mixing=0.5, minibatch_group=4, conditional=True, num_classes=10)
    objective = NonSaturating(penalty=R1(0.1, every=2), generator_penalty=PathLength(every=2))
    return AdversarialModule(model, objective, ADAM)


def train(folder: Path, steps: int, resume: bool = False) -> AdversarialModule:
    run = module()
    checkpoint = folder / "checkpoints" / "last.ckpt" if resume else None
    fitted = trainer(folder, standard_callbacks(), max_steps=steps, max_epochs=-1)
    fitted.fit(run, datamodule=digits(64), ckpt_path=checkpoint, weights_only=True)
    return run


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    straight = train(tmp_path / "straight", 7)
    train(tmp_path / "stopped", 4)
    resumed = train(tmp_path / "stopped", 7, resume=True)
    checkpoints = [_saved(tmp_path / name) for name in ("straight", "stopped")]
    saved = tuple(_states(checkpoint) for checkpoint in checkpoints)
    for states in ((straight.state_dict(), resumed.state_dict()), saved):
        assert set(states[0]) == set(states[1])
        for name, value in states[0].items():
            assert torch.equal(value, states[1][name]), name
    assert straight.state_dict()["memory.generator_penalty.mean"] > 0
    assert straight.model.state_dict()["generator.average"].any()


def _saved(folder: Path) -> dict[str, Any]:
    return read_checkpoint(folder / "checkpoints" / "last.ckpt")


def _states(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    (ema,) = (state for name, state in checkpoint["callbacks"].items() if name.startswith(EMA.__name__))
    return {**checkpoint["state_dict"], **{f"average of {name}": value for name, value in ema["average"].items()}}


def test_averaged_weights_come_with_the_average_style_as_it_is(tmp_path: Path) -> None:
    run = train(tmp_path, 3)
    raw = run.model.generator.average.clone()
    weights = run.model.generator.constant.clone()
    with run.averaged():
        assert not torch.equal(run.model.generator.constant, weights)
        assert torch.equal(run.model.generator.average, raw)
    states = _states(_saved(tmp_path))
    assert torch.equal(states["average of generator.average"], raw)
    assert not torch.equal(states["average of generator.constant"], weights)
