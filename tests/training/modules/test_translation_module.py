"""Training a CycleGAN: batches without a domain, the history of images, resumption to the bit."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from training_toys import SetRules, digits, standard_callbacks, trainer

from genmodels.models import CycleGAN
from genmodels.objectives import CycleConsistency
from genmodels.training import StepRules, TranslationModule
from genmodels.training.modules.image_history import ImageHistory
from genmodels.training.position import total_steps

ADAM = partial(torch.optim.Adam, lr=1e-3)


def module(history: int = 6, **options: Any) -> TranslationModule:
    torch.manual_seed(0)
    model = CycleGAN((1, 8, 8), 17, 10, (3, 8), width=4, num_blocks=1, critic_width=4)
    return TranslationModule(model, CycleConsistency(history=history), ADAM, **options)


def train(folder: Path, steps: int, resume: bool = False) -> TranslationModule:
    run = module()
    checkpoint = folder / "checkpoints" / "last.ckpt" if resume else None
    fitted = trainer(folder, standard_callbacks(), max_steps=steps, max_epochs=-1)
    fitted.fit(run, datamodule=digits(64), ckpt_path=checkpoint, weights_only=True)
    return run


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    """With the samples of before the stop in the history."""
    straight = train(tmp_path / "straight", 7)
    train(tmp_path / "stopped", 4)
    resumed = train(tmp_path / "stopped", 7, resume=True)
    assert straight.steps_taken == resumed.steps_taken == 7
    states = straight.state_dict(), resumed.state_dict()
    assert {"histories.0.images", "histories.1.count"} <= set(states[0])
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    assert int(straight.histories[0].count) == 6


def test_a_domain_that_a_batch_lacks_adds_nothing() -> None:
    run = module()
    x, y = next(iter(digits(64).train_dataloader()))
    both = run._by_domain(x, y)
    assert set(both) == {0, 1}
    assert torch.equal(both[1], run.pair.floats(x[y == 8]))
    one = run._by_domain(x[y == 3], y[y == 3])
    assert set(one) == {0}
    run._generators_loss(one).backward()
    assert set(run._samples) == {1}
    assert all(p.grad is not None for p in run.pair.generators.parameters())
    total = run._generators_loss(both)
    halves = run._generators_loss(one) + run._generators_loss({1: both[1]})
    torch.testing.assert_close(total, halves)
    run.zero_grad()
    nothing = run._by_domain(x[y == 5], y[y == 5])
    assert run._generators_loss(nothing).item() == run._critics_loss(nothing, {}).item() == 0
    run._critics_loss(nothing, {}).backward()
    assert all(p.grad is not None and not p.grad.any() for p in run.pair.discriminators.parameters())


def test_each_part_gets_the_gradient_of_its_own_loss(tmp_path: Path) -> None:
    run = module(history=0)
    before = {name: p.clone() for name, p in run.named_parameters()}
    fitted = trainer(tmp_path, standard_callbacks(), max_steps=1, max_epochs=-1)
    fitted.fit(run, datamodule=digits(64))
    assert all(not torch.equal(p, before[name]) for name, p in run.named_parameters() if name.endswith("weight"))
    expected = module(history=0)
    x, y = next(iter(digits(64).train_dataloader()))
    images = expected._by_domain(x, y)
    generators, critics = (ADAM(part.parameters()) for part in expected.trained_parts().values())
    loss = expected._generators_loss(images)
    loss.backward(inputs=list(expected.pair.generators.parameters()))
    generators.step()
    expected._critics_loss(images, expected._samples).backward()
    critics.step()
    for name, p in expected.named_parameters():
        torch.testing.assert_close(dict(run.named_parameters())[name], p, rtol=0, atol=1e-6, msg=name)


def test_the_history_gives_old_images_half_of_the_time() -> None:
    torch.manual_seed(0)
    history = ImageHistory(5, (1, 1, 1))
    first = torch.arange(5.0).view(5, 1, 1, 1)
    assert torch.equal(history(first), first)
    old, seen = 0, []
    for number in range(5, 405):
        given = history(torch.full((1, 1, 1, 1), float(number))).item()
        old += given != number
        seen.append(given)
    assert 160 <= old <= 240
    assert len(set(seen)) == 400  # an image leaves the history when it is given
    assert history.images.max() > 380


def test_without_a_history_images_are_new() -> None:
    x = torch.randn(3, 1, 2, 2)
    assert ImageHistory(0, (1, 2, 2))(x) is x


def test_every_window_of_batches_is_a_step(tmp_path: Path) -> None:
    run = module()
    callbacks = [SetRules(StepRules(accumulate_grad_batches=2)), *standard_callbacks()]
    trainer(tmp_path, callbacks, max_epochs=1, limit_train_batches=5).fit(run, datamodule=digits(64))
    assert run.steps_taken == total_steps(run.trainer) == 3


def test_figures_of_validation(tmp_path: Path) -> None:
    run = module()
    fitted = trainer(tmp_path, standard_callbacks(), max_steps=2, max_epochs=-1)
    fitted.fit(run, datamodule=digits(64))
    figures = {name for name in fitted.callback_metrics if name.startswith("val/")}
    assert figures == {"val/generator_loss", "val/critic_loss", "val/cycle", "val/identity"}
    assert fitted.callback_metrics["val/cycle"] == pytest.approx(0.8, abs=0.75)
