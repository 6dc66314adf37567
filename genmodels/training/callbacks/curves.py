"""A picture of metrics.csv."""

import csv
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from genmodels.files import explaining_full_disk

Series = dict[str, tuple[list[int], list[float]]]


class Curves(pl.Callback):
    """Draws curves.png after a validation, unless it is only `every_seconds` old, and at the end."""

    def __init__(self, every_seconds: float = 30.0) -> None:
        self.every_seconds = every_seconds
        self._drawn_at = -math.inf

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if time.monotonic() - self._drawn_at >= self.every_seconds:  # half a second: as long as many an epoch
            self._draw(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._draw(trainer, pl_module)

    def _draw(self, trainer: pl.Trainer, pl_module: Any) -> None:
        folder = Path(trainer.default_root_dir)
        if trainer.is_global_zero and (folder / "metrics.csv").exists():
            self._drawn_at = time.monotonic()
            with explaining_full_disk(folder / "curves.png"):
                draw_curves(read_metrics(folder / "metrics.csv"), pl_module.shown, folder / "curves.png")


def read_metrics(path: Path) -> Series:
    """Read metrics.csv into {name: (steps, values)}, in the order logged."""
    series: Series = defaultdict(lambda: ([], []))
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            steps, values = series[row["name"]]
            steps.append(int(row["step"]))
            values.append(float(row["value"]))
    return dict(series)


def draw_curves(series: Series, names: Sequence[str], path: Path) -> None:
    """Draw training and validation figures of these names, the learning rates and the gradient norms over the steps."""
    figure = Figure(figsize=(7, 7), layout="constrained")
    top, middle, bottom = figure.subplots(3, sharex=True, height_ratios=(3, 1, 1))
    for name in names:
        for logged, style in ((f"train/{name}", "-"), (f"val/{name}", "o-")):
            if logged in series:
                top.plot(*series[logged], style, label=logged, linewidth=1, markersize=3)
    top.set_ylabel(names[0] if len(names) == 1 else "")
    for axes, prefix in ((middle, "learning_rate"), (bottom, "grad_norm")):
        for logged in (name for name in series if name.startswith(prefix)):
            axes.plot(*series[logged], linewidth=1, label=logged)
        axes.set_ylabel(prefix)
        if len(axes.lines) > 1:
            axes.legend()
    if top.lines:
        top.legend()
    if bottom.lines:
        bottom.set_yscale("log")
    bottom.set_xlabel("step")
    FigureCanvasAgg(figure).print_png(path)
