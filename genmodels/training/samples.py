"""Pictures of samples while a run trains."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from genmodels.evaluation.pictures import save_grid, save_scatter
from genmodels.training.disk import explaining_full_disk
from genmodels.training.ema import EMA
from genmodels.training.loggers import log_picture
from genmodels.training.seeding import mixed_seed, seeded

_POINTS = 2000


class Samples(pl.Callback):
    """After every `every`-th validation draws samples into samples/step_<step>.png, and into wandb as `samples`.

    The noise is the same every time, so successive pictures show the training alone; random states are put back.
    Averaged weights are used where the run has an `EMA`. Grids for images of 1 or 3 channels, a scatter plot of 2,000
    points for 2-D vectors, nothing for other data. Class-conditional models get the classes in turn.

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
        samples = self._draw(trainer, pl_module)
        with explaining_full_disk(path):
            if samples.ndim == 2:
                save_scatter(samples, path)
            else:
                save_grid(samples, pl_module.model.levels, path)
        log_picture(trainer, "samples", path)

    def state_dict(self) -> dict[str, int]:
        return {"validations": self._validations}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self._validations = state_dict["validations"]

    @torch.no_grad()
    def _draw(self, trainer: pl.Trainer, pl_module: Any) -> Tensor:
        model = pl_module.model
        n = self.n if len(model.shape) == 3 else _POINTS
        classes = getattr(model, "num_classes", None)
        y = torch.arange(n, device=pl_module.device) % classes if classes else None
        with ExitStack() as stack:
            for callback in trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(callback, EMA):
                    stack.enter_context(callback.averaged())
            stack.enter_context(seeded(mixed_seed(self.seed, "samples"), pl_module.device))
            return model.sample(n, y, temperature=self.temperature)


def _is_drawable(model: Any) -> bool:
    if len(model.shape) == 3:
        return model.shape[0] in (1, 3)
    return tuple(model.shape) == (2,)
