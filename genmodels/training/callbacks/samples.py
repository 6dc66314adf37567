"""Pictures of samples while a run trains."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from genmodels.files import explaining_full_disk
from genmodels.pictures import LogDensity, save_densities, save_grid, save_scatter
from genmodels.training.callbacks.ema import EMA
from genmodels.training.loggers import log_picture
from genmodels.training.seeding import mixed_seed, seeded

_POINTS = 2000


class Samples(pl.Callback):
    """After every `every`-th validation draws samples into samples/step_<step>.png, and into wandb as `samples`.

    The noise is the same every time, so successive pictures show the training alone; random states are put back.
    Averaged weights are used where the run has an `EMA`. Grids for images of 1 or 3 channels; for 2-D vectors a scatter
    plot of 2,000 points and, beside it, the density; nothing for other data. Class-conditional models get the classes
    in turn. Where the objective knows the density to be learned (`log_density`), it and the model's own are shown in
    place of points.

    Args:
        n: images in the grid.
        every: validations between two pictures.
        temperature: of the samples.
        seed: of their noise.
    """

    def __init__(self, n: int = 64, every: int = 1, temperature: float = 1.0, seed: int = 0) -> None:
        self.n = n
        self.every = every
        self.temperature = temperature
        self.seed = seed
        self._validations = 0

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._validations += 1
        if self._validations % self.every or not trainer.is_global_zero or not _is_drawable(pl_module.model):
            return
        path = Path(trainer.default_root_dir) / "samples" / f"step_{trainer.global_step:07d}.png"
        with explaining_full_disk(path), torch.no_grad(), _averaged(trainer):
            self._save(pl_module, path)
        log_picture(trainer, "samples", path)

    def state_dict(self) -> dict[str, int]:
        return {"validations": self._validations}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self._validations = state_dict["validations"]

    def _save(self, pl_module: Any, path: Path) -> None:
        model, target = pl_module.model, getattr(pl_module.objective, "log_density", None)
        if target is not None:
            save_densities({"target": target, "model": model.log_prob}, path, pl_module.device)
        elif len(model.shape) == 1:
            save_scatter(self._draw(pl_module), path, _density(model))
        else:
            save_grid(self._draw(pl_module), model.levels, path)

    def _draw(self, pl_module: Any) -> Tensor:
        model = pl_module.model
        n = self.n if len(model.shape) == 3 else _POINTS
        classes = getattr(model, "num_classes", None)
        y = torch.arange(n, device=pl_module.device) % classes if classes else None
        with seeded(mixed_seed(self.seed, "samples"), pl_module.device):
            return model.sample(n, y, temperature=self.temperature)


@contextmanager
def _averaged(trainer: pl.Trainer) -> Iterator[None]:
    """Run the body with averaged weights where the run has them."""
    with ExitStack() as stack:
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, EMA):
                stack.enter_context(callback.averaged())
        yield


def _density(model: Any) -> LogDensity | None:
    return None if getattr(model, "num_classes", None) else getattr(model, "log_prob", None)


def _is_drawable(model: Any) -> bool:
    if len(model.shape) == 3:
        return model.shape[0] in (1, 3)
    return tuple(model.shape) == (2,)
