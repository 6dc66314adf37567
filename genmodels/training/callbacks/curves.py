"""A picture of metrics.csv."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from matplotlib.figure import Figure

from genmodels.pictures import save_figure
from genmodels.training.callbacks.forgiving import Forgiving
from genmodels.training.csv_logger import Series, read_series


class Curves(pl.Callback):
    """Draws curves.png after a validation, once in `every_seconds` of training, and at the end."""

    def __init__(self, every_seconds: float = 30.0) -> None:
        self.every_seconds = every_seconds
        self._drawn_at = 0.0
        self._forgiving = Forgiving("curves.png")

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._drawn_at = time.monotonic()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if time.monotonic() - self._drawn_at >= self.every_seconds:  # half a second: as long as many an epoch
            self._draw(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._draw(trainer, pl_module)

    def _draw(self, trainer: pl.Trainer, pl_module: Any) -> None:
        folder = Path(trainer.default_root_dir)
        if trainer.is_global_zero and (folder / "metrics.csv").exists():
            self._drawn_at = time.monotonic()
            with self._forgiving:
                draw_curves(read_series(folder / "metrics.csv"), pl_module.shown, folder / "curves.png")


def draw_curves(series: Series, names: Sequence[str], path: Path) -> None:
    """Draw training and validation figures of these names, the learning rates and the gradient norms over the steps.

    Each name has a scale of its own: of two losses that play against each other one may be a hundred times the other.
    """
    heights = (3,) if len(names) < 2 else (1.5,) * len(names)
    figure = Figure(figsize=(7, 1.4 * (sum(heights) + 2)), layout="constrained")
    *panels, middle, bottom = figure.subplots(len(heights) + 2, sharex=True, height_ratios=(*heights, 1, 1))
    for name, axes in zip(names, panels, strict=False):
        for logged, style in ((f"train/{name}", "-"), (f"val/{name}", "o-")):
            if logged in series:
                axes.plot(*series[logged], style, label=logged, linewidth=1, markersize=3)
        axes.set_ylabel(name)
        if axes.lines:
            axes.legend()
    for axes, prefix in ((middle, "train/learning_rate"), (bottom, "train/grad_norm")):
        for logged in (name for name in series if name.startswith(prefix)):
            axes.plot(*series[logged], linewidth=1, label=logged)
        axes.set_ylabel(prefix.removeprefix("train/"))
        if len(axes.lines) > 1:
            axes.legend()
    if bottom.lines:
        bottom.set_yscale("log")
    bottom.set_xlabel("step")
    save_figure(figure, path)
