"""The pictures of the gallery: points in the plane, a model's density of them, and its samples."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from genmodels.evaluation.setting import Setting
from genmodels.files import replacing
from genmodels.models.capabilities import required
from genmodels.models.contract import Density, Sampler
from genmodels.models.log_weights import log_weights
from genmodels.models.model import Model
from genmodels.runs.finished_run import Run

SIDE, CELLS = 4.4, 177  # the square from -4.4 to 4.4 by points 0.05 apart, on which the ring's and the grid's modes lie
SHOWN = 4000  # points of the data, and samples
WEIGHTS = 64  # log importance weights of a point where the density is no more than estimated
ROWS = 2000  # points x weights that go through a model at a time
PANEL = 1.05  # inches


@dataclass(frozen=True)
class Panels:
    """What is drawn of one run.

    Attributes:
        points: of the test set, [N, 2].
        density: at the points of the square, [y, x].
        samples: [N, 2].
    """

    points: np.ndarray
    density: np.ndarray
    samples: np.ndarray


def panels_of(run: Run) -> Panels:
    """Computed once, and kept in the run's folder."""
    file = run.folder.path / "gallery.npz"
    if not file.exists():
        setting = Setting(run, device="cpu")
        points, _ = next(iter(setting.batches("test", SHOWN)))
        sampler = required(setting.model, Sampler, "the gallery")
        with torch.no_grad(), setting.noise("gallery"):
            density, samples = density_on_square(setting.model), sampler.sample(SHOWN)
        with replacing(file) as stream:
            np.savez_compressed(stream, points=points, density=density, samples=samples)
    with np.load(file, allow_pickle=False) as arrays:
        return Panels(arrays["points"], arrays["density"], arrays["samples"])


def density_on_square(model: Model) -> Tensor:
    """p(x) on the square, or the mean of 64 importance weights where the model has no more, float32 [y, x]."""
    axis = torch.linspace(-SIDE, SIDE, CELLS)
    x = torch.cartesian_prod(axis, axis)
    exact = required(model, Density, "the gallery").exact
    count = 1 if exact else WEIGHTS
    log_p = [
        log_weights(model, part, None, count, "the gallery").logsumexp(dim=0) - math.log(count)
        for part in x.split(max(1, ROWS // count))
    ]
    # Far from the data a flow may overflow, where its density is nought.
    return torch.cat(log_p).exp().nan_to_num(0.0, 0.0, 0.0).view(CELLS, CELLS).T


def draw_model(panels: Mapping[str, Panels], path: Path) -> None:
    """Three rows of one model: data, density and samples, a column for each set.

    Args:
        panels: by set.
    """
    kinds = {"data": _data, "density": _density, "samples": _samples}
    _draw([(kind, {name: (show, own) for name, own in panels.items()}) for kind, show in kinds.items()], path)


def draw_overview(panels: Mapping[tuple[str, str], Panels], path: Path) -> None:
    """The data in the first row, and a row of densities for each model; a column for each set.

    Args:
        panels: by model and set.
    """
    models, sets = (list(dict.fromkeys(names)) for names in zip(*panels, strict=True))
    data = {name: (_data, next(own for (_, other), own in panels.items() if other == name)) for name in sets}
    rows = [(model, {n: (_density, panels[model, n]) for n in sets if (model, n) in panels}) for model in models]
    _draw([("data", data), *rows], path)


Show = Callable[[Axes, Panels], None]


def _draw(rows: list[tuple[str, dict[str, tuple[Show, Panels]]]], path: Path) -> None:
    sets = list(rows[0][1])
    figure = Figure(figsize=(PANEL * len(sets) + 0.3, PANEL * len(rows) + 0.3), dpi=100, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)  # type: ignore[union-attr, call-arg]
    grid = figure.subplots(len(rows), len(sets), squeeze=False)
    for (title, own), line in zip(rows, grid, strict=True):
        line[0].set_ylabel(title.replace("_", " "), fontsize=8)
        for name, axes in zip(sets, line, strict=True):
            axes.set(xlim=(-SIDE, SIDE), ylim=(-SIDE, SIDE), xticks=[], yticks=[], aspect="equal")
            if axes in grid[0]:
                axes.set_title(name.replace("_", " "), fontsize=8)
            if name in own:
                show, panels = own[name]
                show(axes, panels)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    """In 64 colours, which no one can tell from all of them and take a third of the bytes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    with replacing(path) as file:
        picture.quantize(64, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)


def _data(axes: Axes, panels: Panels) -> None:
    _scatter(axes, panels.points)


def _samples(axes: Axes, panels: Panels) -> None:
    _scatter(axes, panels.samples)


def _scatter(axes: Axes, points: np.ndarray) -> None:
    axes.scatter(*points.T, s=0.6, linewidths=0, color="black", alpha=0.5)


def _density(axes: Axes, panels: Panels) -> None:
    """Brightest where nine samples in ten are less likely: a spike would leave all else dark."""
    cells = np.clip(np.rint((panels.samples + SIDE) / (2 * SIDE) * (CELLS - 1)), 0, CELLS - 1).astype(int)
    brightest = float(np.quantile(panels.density[cells[:, 1], cells[:, 0]], 0.9))
    square = (-SIDE, SIDE, -SIDE, SIDE)
    axes.imshow(panels.density, origin="lower", extent=square, vmin=0, vmax=brightest or None)
