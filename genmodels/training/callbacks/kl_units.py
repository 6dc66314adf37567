"""What each latent of a variational autoencoder costs, over the course of training."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure
import pytorch_lightning as pl
import torch
from matplotlib.colors import PowerNorm
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from genmodels.models.capabilities import offered
from genmodels.models.contract import LatentVariables
from genmodels.pictures import save_figure
from genmodels.randomness import seed_for, seeded
from genmodels.training.callbacks.forgiving import Forgiving
from genmodels.training.loggers import log_picture


class KLUnits(pl.Callback):
    """Takes the mean KL of each unit in every validation, and draws them all as kl_units.png.

    Over the first `n` validation examples of rank 0, with the weights that validation sees; units are those of
    `Terms.kls`, to which free bits apply: latents or channels of each layer. The picture is drawn after a validation
    unless it is only `every_seconds` old, and at the end. The figures so far are part of a checkpoint. Models without
    latents are left out.

    Args:
        n: examples.
        every_seconds: at least, between two versions of the picture.
    """

    def __init__(self, n: int = 1000, every_seconds: float = 30.0) -> None:
        self.n = n
        self.every_seconds = every_seconds
        self._steps: list[int] = []
        self._means: list[list[Tensor]] = []  # for each validation and layer, [U] nats
        self._sums: list[Tensor] = []
        self._count = 0
        self._drawn_at = -math.inf
        self._forgiving = Forgiving("kl_units.png")

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._sums, self._count = [], 0

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        model = offered(pl_module.model, LatentVariables)
        if model is None or not trainer.is_global_zero or self._count >= self.n:
            return
        left = self.n - self._count
        x, y = batch[0][:left], None if batch[1] is None else batch[1][:left]
        with torch.no_grad(), seeded(seed_for("kl units", batch_idx), pl_module.device):
            sums = [kl.double().sum(dim=0).cpu() for kl in model.terms(x, y).kls]
        self._sums = [old + new for old, new in zip(self._sums, sums, strict=True)] if self._sums else sums
        self._count += len(x)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self._count:
            self._steps.append(pl_module.steps_taken)
            self._means.append([total / self._count for total in self._sums])
            if time.monotonic() - self._drawn_at >= self.every_seconds:
                self._draw(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self._steps:
            self._draw(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": list(self._steps), "means": list(self._means)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._steps, self._means = list(state_dict["steps"]), list(state_dict["means"])

    def _draw(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if not trainer.is_global_zero:
            return
        self._drawn_at = time.monotonic()
        path = Path(trainer.default_root_dir) / "kl_units.png"
        with self._forgiving:
            layers = [torch.stack(layer) for layer in zip(*self._means, strict=True)]
            save_figure(kl_figure(self._steps, layers), path)
            log_picture(trainer, "kl_units", path, pl_module.steps_taken)


def kl_figure(steps: Sequence[int], layers: Sequence[Tensor]) -> matplotlib.figure.Figure:
    """A heat map, a row for each unit: each layer's own rows together, the one that costs most in the end on top.

    Args:
        steps: of the V validations; each column reaches from the one before to its own.
        layers: [V, U] nats each.
    """
    rows = torch.cat([layer[:, layer[-1].argsort(descending=True)] for layer in layers], dim=1).T
    figure = matplotlib.figure.Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    highest = max(float(rows.max()), 1e-3)  # a posterior that has collapsed has no range of its own
    edges, norm = [0, *steps], PowerNorm(0.5, vmin=0, vmax=highest, clip=True)
    mesh = axes.pcolormesh(edges, torch.arange(len(rows) + 1).numpy(), rows.numpy(), norm=norm)
    axes.invert_yaxis()
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    total = float(rows[:, -1].sum())
    axes.set(
        xlabel="step", ylabel="unit, sorted by its KL in the end", title=f"KL of each unit; {total:.2f} nats at last"
    )
    borders = torch.tensor([layer.shape[1] for layer in layers]).cumsum(0)[:-1].tolist()
    for border in borders:
        axes.axhline(border, color="white", linewidth=1)
    figure.colorbar(mesh, label="nats")
    return figure
