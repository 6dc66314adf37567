"""Pictures of samples while a run trains."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from genmodels.models.capabilities import offered, required
from genmodels.models.contract import Density, Sampler, Translates
from genmodels.models.gans.translations import first_of_each, there_and_back
from genmodels.models.model import Model
from genmodels.pictures import class_columns, is_image, save_animation, save_densities, save_grid, save_scatter
from genmodels.randomness import seed_for, seeded
from genmodels.training.callbacks.forgiving import Forgiving
from genmodels.training.loggers import log_picture

_POINTS = 2000
_FEWEST_FRAMES = 3


class Samples(pl.Callback):
    """After every `every`-th validation draws samples into samples/step_<step>.png, and into wandb as `samples`.

    The noise is the same every time, so successive pictures show the training alone; random states are put back.
    Averaged weights are used where the run has an `EMA`. Grids for images of 1 or 3 channels; for 2-D vectors a scatter
    plot of 2,000 points and, beside it, the density; nothing for other data. Class-conditional models get the classes
    in turn, a column each. Where the objective knows the density to be learned (`log_density`), it and the model's own
    are shown in place of points. A model that translates shows what it makes of the first validation images of both
    domains: rows of images, their translations, and these translated back.

    At the end the pictures, those from before a resumption too, become one animation, samples/training.gif, if there
    are three or more.

    Args:
        n: images in the grid.
        every: validations between two pictures.
        temperature: of the samples.
        seed: of their noise.
        gif: whether to draw the animation.
    """

    def __init__(self, n: int = 64, every: int = 1, temperature: float = 1.0, seed: int = 0, gif: bool = True) -> None:
        self.n = n
        self.every = every
        self.temperature = temperature
        self.seed = seed
        self.gif = gif
        self._validations = 0
        self._forgiving = Forgiving("samples")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._validations += 1
        if self._validations % self.every or not _is_drawable(pl_module.model):
            return
        step = pl_module.steps_taken
        path = Path(trainer.default_root_dir) / "samples" / f"step_{step:07d}.png"
        with torch.no_grad(), pl_module.averaged(), pl_module.gathered():  # of all ranks, whoever draws
            if not trainer.is_global_zero:
                return
            with self._forgiving:
                self._save(trainer, pl_module, path)
                log_picture(trainer, "samples", path, step)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        folder = Path(trainer.default_root_dir) / "samples"
        pictures = sorted(folder.glob("step_*.png"))
        if self.gif and trainer.is_global_zero and len(pictures) >= _FEWEST_FRAMES:
            with self._forgiving:
                save_animation(pictures, folder / "training.gif")

    def state_dict(self) -> dict[str, int]:
        return {"validations": self._validations}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self._validations = state_dict["validations"]

    def _save(self, trainer: pl.Trainer, pl_module: Any, path: Path) -> None:
        model, target = pl_module.model, pl_module.objective.target
        density = None if model.num_classes else offered(model, Density)
        log_prob = None if density is None else density.log_prob
        translates = offered(model, Translates)
        if translates is not None:
            self._save_translations(trainer, translates, model.levels, path)
        elif target is not None and log_prob is not None:
            save_densities({"target": target, "model": log_prob}, path, pl_module.device)
        elif len(model.shape) == 1:
            save_scatter(self._draw(pl_module), path, log_prob)
        else:
            save_grid(self._draw(pl_module), model.levels, path, class_columns(self.n, model.num_classes))

    def _save_translations(self, trainer: pl.Trainer, model: Translates, levels: int, path: Path) -> None:
        loader: Any = trainer.val_dataloaders
        found = first_of_each(model.domains, loader, max(1, self.n // 6))
        first, second = (x.to(trainer.strategy.root_device) for x in found)
        save_grid(there_and_back(model, (first, second)), levels, path, len(first))

    def _draw(self, pl_module: Any) -> Tensor:
        model = pl_module.model
        n = self.n if len(model.shape) == 3 else _POINTS
        y = torch.arange(n, device=pl_module.device) % model.num_classes if model.num_classes else None
        with seeded(seed_for("samples", self.seed), pl_module.device):
            return required(model, Sampler, "callbacks.samples").sample(n, y, temperature=self.temperature)


def _is_drawable(model: Model) -> bool:
    """Whether it draws or translates, and there is a way to show what it draws."""
    if offered(model, Translates) is not None:
        return is_image(model.shape)
    if offered(model, Sampler) is None:
        return False
    return is_image(model.shape) or tuple(model.shape) == (2,)
