from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from torch.nn.utils import parameters_to_vector
from training_toys import DiagonalGaussian, digits, module, standard_callbacks, train, trainer

from genmodels.errors import UserError
from genmodels.models import NICE
from genmodels.objectives import NegativeLogLikelihood
from genmodels.randomness import seed_for, seeded
from genmodels.training import LikelihoodModule
from genmodels.training.csv_logger import read_series
from genmodels.training.initialization import initialize_from


class Draws(DiagonalGaussian):
    """Keeps a number of each call in training, drawn as noise would be."""

    def __init__(self) -> None:
        super().__init__((1, 8, 8), 17)
        self.drawn: list[float] = []

    def log_prob(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        if self.training:
            self.drawn.append(torch.rand(()).item())
        return super().log_prob(x, y)


def test_noise_depends_on_seed_and_batch_alone(tmp_path: Path) -> None:
    """Three runs: another history of draws before, and another seed. Two batches make a step."""
    runs = []
    for name, seed, history in (("a", 0, 0), ("b", 0, 5), ("c", 1, 0)):
        torch.manual_seed(history)
        model = Draws()
        run = trainer(tmp_path / name, standard_callbacks(), max_steps=4, accumulate_grad_batches=2)
        run.fit(module(model, seed=seed), datamodule=digits())
        runs.append(model.drawn)
    assert runs[0] == runs[1]
    assert len(set(runs[0] + runs[2])) == 2 * len(runs[0]) == 2 * (1 + 8)


def test_seeds_do_not_collide() -> None:
    seeds = {
        seed_for(stream, seed, step, rank)
        for seed in range(5)
        for stream in ("train", "validation")
        for step in range(40)
        for rank in range(5)
    }
    assert len(seeds) == 5 * 2 * 40 * 5
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_validation_noise_is_fixed_and_leaves_the_random_state(tmp_path: Path) -> None:
    """With a learning rate of zero every validation gives the same figure."""
    lightning = module(DiagonalGaussian((1, 8, 8), 17), lr=0.0)
    trainer(tmp_path, standard_callbacks(), max_epochs=3).fit(lightning, datamodule=digits())
    series = read_series(tmp_path / "metrics.csv")
    steps, values = series["val/bits_per_dim"]
    assert steps == [4, 8, 12]
    assert len(set(values)) == 1
    assert len(set(series["train/bits_per_dim"][1])) == 12
    state = torch.get_rng_state()
    with seeded(3, torch.device("cpu")):
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), state)


def test_validation_weighs_samples_not_batches(tmp_path: Path) -> None:
    """300 images in batches of 256 and 44 give the mean over images."""
    lightning = module(DiagonalGaussian((1, 8, 8), 17), lr=0.0)
    trainer(tmp_path, standard_callbacks(), max_epochs=1).fit(lightning, datamodule=digits())
    total, count = 0.0, 0
    lightning.model.eval()
    for index, (x, y) in enumerate(digits().val_dataloader()):
        with seeded(seed_for("validation", 0, index, 0), torch.device("cpu")), torch.no_grad():
            total += float(lightning.objective(lightning.model, x, y)[0]) * len(x)
        count += len(x)
    assert count == 300
    logged = read_series(tmp_path / "metrics.csv")["val/bits_per_dim"][1][-1]
    assert logged == pytest.approx(total / count, rel=1e-9)


def test_logged_rows(tmp_path: Path) -> None:
    """Every metric stands at the step whose update it belongs to."""
    train(tmp_path, max_epochs=2, log_every_n_steps=3)
    series = read_series(tmp_path / "metrics.csv")
    for name in ("train/bits_per_dim", "train/grad_norm", "time/images_per_second", "train/learning_rate"):
        assert series[name][0] == [3, 6]
    assert series["train/learning_rate"][1] == pytest.approx([0.01 * 3 / 7, 0.01 * 6 / 7])
    assert series["val/bits_per_dim"][0] == series["val/inverse_error"][0] == [4, 8]


class AfterStart(pl.Callback):
    """Keeps the model's state when the first batch arrives."""

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.steps_taken == 0:
            self.all = parameters_to_vector(pl_module.parameters()).detach()
            self.loc = pl_module.model.loc.detach().clone()
            self.batch = batch[0]


def test_initialisation_uses_the_first_samples_and_leaves_the_position(tmp_path: Path) -> None:
    seen = AfterStart()
    lightning = module(DiagonalGaussian((1, 8, 8), 17))
    lightning.model.init_batch_size = 300
    trainer(tmp_path, [seen, *standard_callbacks()], max_steps=1).fit(lightning, datamodule=digits())
    data = digits()
    loader = data.train_dataloader()
    expected = DiagonalGaussian((1, 8, 8), 17)
    initialize_from(expected, expected.log_prob, loader, lambda batch: batch, 300, seed=0)
    assert torch.equal(seen.loc, expected.loc)
    x = torch.cat([batch[0] for batch in loader])[:300]
    assert (seen.loc - x.float().mean(0) - 0.5).abs().max() < 0.1
    assert torch.equal(seen.batch, x[:256])


def test_a_model_says_how_many_samples_initialise_it(tmp_path: Path) -> None:
    seen = AfterStart()
    model = DiagonalGaussian((1, 8, 8), 17)
    model.init_batch_size = 40
    trainer(tmp_path, [seen, *standard_callbacks()], max_steps=1).fit(module(model), datamodule=digits())
    expected = DiagonalGaussian((1, 8, 8), 17)
    initialize_from(expected, expected.log_prob, digits().train_dataloader(), lambda batch: batch, 40, seed=0)
    assert torch.equal(seen.loc, expected.loc)
    other = gaussian()
    initialize_from(other, other.log_prob, digits().train_dataloader(), lambda batch: batch, 40, seed=1)
    assert not torch.equal(other.loc, expected.loc)


def test_initialisation_passes_through_what_validation_does(tmp_path: Path) -> None:
    """A model without a density has no other way."""
    was_pending = []

    class Notes(LikelihoodModule):
        def evaluate_batch(self, x: torch.Tensor, y: torch.Tensor | None) -> dict[str, torch.Tensor]:
            was_pending.append(self.model.is_pending)
            return super().evaluate_batch(x, y)

    lightning = Notes(gaussian(), module(gaussian()).objective, partial(torch.optim.SGD, lr=1.0))
    trainer(tmp_path, standard_callbacks(), max_steps=1).fit(lightning, datamodule=digits())
    assert was_pending == [True, False, False]


def test_initialised_models_are_left_alone(tmp_path: Path) -> None:
    seen = AfterStart()
    model = DiagonalGaussian((1, 8, 8), 17)
    model.initialized.fill_(True)
    trainer(tmp_path, [seen, *standard_callbacks()], max_steps=1).fit(module(model), datamodule=digits())
    assert torch.equal(seen.loc, torch.zeros(1, 8, 8))


def test_gradient_clipping(tmp_path: Path) -> None:
    """SGD with lr 1 moves by the clipped gradient's norm; grad_norm is logged before clipping."""
    lightning = LikelihoodModule(
        DiagonalGaussian((1, 8, 8), 17), module(gaussian()).objective, lambda groups: torch.optim.SGD(groups, lr=1.0)
    )
    seen = AfterStart()
    run = trainer(tmp_path, [seen, *standard_callbacks()], max_steps=1, gradient_clip_val=0.005)
    run.fit(lightning, datamodule=digits())
    assert read_series(tmp_path / "metrics.csv")["train/grad_norm"][1][0] > 0.01
    moved = parameters_to_vector(lightning.parameters()) - seen.all
    assert moved.norm().item() == pytest.approx(0.005, rel=1e-3)


def gaussian() -> DiagonalGaussian:
    return DiagonalGaussian((1, 8, 8), 17)


def test_loss_scaling_is_refused(tmp_path: Path) -> None:
    scaling = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))
    run = trainer(tmp_path, standard_callbacks(), max_steps=1, plugins=[scaling])
    with pytest.raises(UserError, match=r"trainer\.precision=16-mixed"):
        run.fit(module(gaussian()), datamodule=digits())


def test_bf16_trains_with_clipping_and_a_fused_optimiser(tmp_path: Path) -> None:
    options = {"max_epochs": 2, "precision": "bf16-mixed", "gradient_clip_val": 1.0}
    train(tmp_path, **options)
    values = read_series(tmp_path / "metrics.csv")["val/bits_per_dim"][1]
    assert 3 < values[-1] < 4.5


def test_a_loss_that_changes_on_the_way_counts_updates_not_batches(tmp_path: Path) -> None:
    """Four batches an epoch, of which the last makes a step by itself."""
    seen: list[int] = []

    class Notes(NegativeLogLikelihood):
        def at_step(self, step: int) -> None:
            seen.append(step)

    lightning = LikelihoodModule(gaussian(), Notes(), partial(torch.optim.SGD, lr=0.01))
    run = trainer(tmp_path, standard_callbacks(), max_epochs=2, accumulate_grad_batches=3)
    run.fit(lightning, datamodule=digits())
    assert seen == [0, 0, 0, 1, 2, 2, 2, 3]


class Gradients(pl.Callback):
    """Of every step, as one vector."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: Any, optimizer: Any) -> None:
        self.seen.append(torch.cat([p.grad.flatten() for p in pl_module.parameters()]))


def gradients(folder: Path, window: int) -> list[torch.Tensor]:
    """Of the four batches of an epoch, at weights that do not move."""
    watch = Gradients()
    run = trainer(folder, [watch, *standard_callbacks()], max_epochs=1, accumulate_grad_batches=window)
    run.fit(module(DiagonalGaussian((1, 8, 8), 17), lr=0.0), datamodule=digits())
    return watch.seen


def test_a_window_cut_short_by_the_end_of_the_epoch_is_the_mean_of_its_batches(tmp_path: Path) -> None:
    first, second, third, fourth = gradients(tmp_path / "each", 1)
    full, rest = gradients(tmp_path / "three", 3)
    torch.testing.assert_close(full, (first + second + third) / 3)
    torch.testing.assert_close(rest, fourth)


class _GivesUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        raise AssertionError("underflow in dt 0.0")  # torchdiffeq's, from the adjoint equation


def test_a_solver_that_gives_up_on_a_gradient_is_told() -> None:
    gives_up = LikelihoodModule(NICE((2,), None), NegativeLogLikelihood(), torch.optim.Adam)
    with pytest.raises(UserError, match=r"torchdiffeq: underflow in dt.*model/solver=rk4$"):
        gives_up.backward(_GivesUp.apply(torch.ones((), requires_grad=True)))
