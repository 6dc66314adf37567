"""Two processes on the CPU. Started by fork, which takes half a second."""

import itertools
import json
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from training_toys import DiagonalGaussian, digits, module, standard_callbacks, train, trainer

from genmodels.data import DataModule
from genmodels.errors import Interrupted
from genmodels.runs.launch import launch
from genmodels.training import read_checkpoint
from genmodels.training.csv_logger import read_series

TWO = {"devices": 2, "strategy": "ddp_fork"}


class Dump(pl.Callback):
    """Writes each rank's weights and buffers to files, after initialisation and at the end."""

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 0:
            self._dump(trainer, pl_module, "start")

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._dump(trainer, pl_module, "end")

    def _dump(self, trainer: pl.Trainer, pl_module: Any, when: str) -> None:
        path = Path(trainer.default_root_dir) / f"{when}{trainer.global_rank}.pt"
        path.parent.mkdir(exist_ok=True)
        torch.save(pl_module.model.state_dict(), path)


def test_ranks_agree_after_initialisation_and_after_training(tmp_path: Path) -> None:
    train(tmp_path, extra=[Dump()], max_epochs=2, **TWO)
    for when in ("start", "end"):
        ranks = [torch.load(tmp_path / f"{when}{rank}.pt", weights_only=True) for rank in (0, 1)]
        assert ranks[0].keys() == ranks[1].keys()
        assert all(torch.equal(ranks[0][name], ranks[1][name]) for name in ranks[0])
        assert bool(ranks[0]["initialized"])
    start, end = (torch.load(tmp_path / f"{when}0.pt", weights_only=True) for when in ("start", "end"))
    assert not torch.equal(start["loc"], end["loc"])


class Mean(DiagonalGaussian):
    """Draws no noise, so that its validation figure is that of one process, whoever holds which image."""

    def log_prob(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        return -(x.float() ** 2).flatten(1).sum(1) + 0 * (self.loc + self.log_scale).sum()


@pytest.mark.parametrize("count", [299, 300])
def test_validation_figure_does_not_depend_on_the_number_of_ranks(count: int, tmp_path: Path) -> None:
    """299 images are 150 on one rank and 149 on the other."""
    figures = []
    for name, options in (("one", {}), ("two", TWO)):
        model = Mean((1, 8, 8), 17)
        model.initialized.fill_(True)
        data = digits(batch_size=100)
        data.validation = count
        trainer(tmp_path / name, standard_callbacks(), max_steps=1, **options).fit(module(model), datamodule=data)
        figures.append(read_series(tmp_path / name / "metrics.csv")["val/bits_per_dim"][1][-1])
    assert figures[0] == pytest.approx(figures[1], rel=1e-6)


class Noted(DiagonalGaussian):
    """Keeps a number of each call, drawn as noise would be."""

    def __init__(self) -> None:
        super().__init__((1, 8, 8), 17)
        self.drawn: list[float] = []

    def log_prob(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        self.drawn.append(torch.rand(()).item())
        return super().log_prob(x, y)


class DumpDrawn(pl.Callback):
    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        path = Path(trainer.default_root_dir) / f"drawn{trainer.global_rank}.json"
        path.write_text(json.dumps(pl_module.model.drawn))


def test_every_rank_has_noise_of_its_own(tmp_path: Path) -> None:
    """In four batches of training and two of validation; rank 0 initialises besides."""
    run = trainer(tmp_path, [*standard_callbacks(), DumpDrawn()], max_epochs=1, **TWO)
    run.fit(module(Noted()), datamodule=digits())
    drawn = [json.loads((tmp_path / f"drawn{rank}.json").read_text()) for rank in (0, 1)]
    assert [len(numbers) for numbers in drawn] == [1 + 4 + 2, 4 + 2]
    assert len({*drawn[0], *drawn[1]}) == 13


def test_rows_speak_of_all_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that shows 0, 1, 4, 9: one second from start to row, five from then to the next."""
    rows = []
    for name, options in (("one", {}), ("two", TWO)):
        clock = SimpleNamespace(perf_counter=(look**2 for look in itertools.count()).__next__)
        monkeypatch.setattr("genmodels.training.callbacks.step_metrics.time", clock)
        model = Mean((1, 8, 8), 17)
        model.initialized.fill_(True)
        data = DataModule("digits", (1, 8, 8), 17, 10, root="unused", batch_size=100, validation=300)
        trainer(tmp_path / name, standard_callbacks(), max_steps=2, **options).fit(module(model), datamodule=data)
        rows.append(read_series(tmp_path / name / "metrics.csv"))
    assert rows[0]["train/bits_per_dim"][1] == pytest.approx(rows[1]["train/bits_per_dim"][1], rel=1e-6)
    assert [row["time/images_per_second"][1] for row in rows] == [[100, 20]] * 2


def test_two_ranks_resume_exactly(tmp_path: Path) -> None:
    train(tmp_path / "straight", extra=[Dump()], max_epochs=3, **TWO)
    train(tmp_path / "stopped", max_steps=6, **TWO)
    train(tmp_path / "stopped", resume=True, extra=[Dump()], max_epochs=3, **TWO)
    assert_same_end(tmp_path / "stopped", tmp_path / "straight")


@pytest.mark.slow
def test_a_signal_to_one_rank_stops_both_in_the_same_step(tmp_path: Path) -> None:
    """In processes that `launch` has started, as the front door does it."""
    train(tmp_path / "straight", extra=[Dump()], max_epochs=3, **TWO)
    with pytest.raises(Interrupted, match="Interrupted at step 6"):
        launch(train_and_tell_one_rank, 2, tmp_path / "stopped")
    assert read_checkpoint(tmp_path / "stopped" / "checkpoints" / "last.ckpt")["global_step"] == 6
    train(tmp_path / "stopped", resume=True, extra=[Dump()], max_epochs=3, **TWO)
    assert_same_end(tmp_path / "stopped", tmp_path / "straight")


def assert_same_end(found: Path, expected: Path) -> None:
    for rank in (0, 1):
        a, b = (torch.load(folder / f"end{rank}.pt", weights_only=True) for folder in (found, expected))
        assert all(torch.equal(a[name], b[name]) for name in b)


def train_and_tell_one_rank(folder: Path) -> None:
    torch.set_num_threads(1)
    train(folder, extra=[OneRankIsTold()], max_epochs=3, devices=2, strategy="ddp")


class OneRankIsTold(pl.Callback):
    """Only rank 1 gets the signal; both must stop, at the same step."""

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 5 and trainer.global_rank == 1:
            signal.raise_signal(signal.SIGTERM)
