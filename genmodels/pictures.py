"""Samples as picture files."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from genmodels.files import replacing
from genmodels.picture_files import open_picture

# A font list that another environment has left behind names files that are gone; some font there always is.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

LogDensity = Callable[[Tensor], Tensor]  # points [N, 2] -> [N], nats

_SMALLEST_TILE = 64  # pixels; smaller images are enlarged so that one can see them
_GAP = 2
_SIDE = 4.0  # the plane is shown on [-4, 4] x [-4, 4]
_DENSITY_POINTS = 200
_MOST_FRAMES, _LARGEST_FRAME = 40, 480  # pixels; a colour GIF then stays below about 6 MB
_FRAME_MS, _LAST_FRAME_MS = 200, 3000


def is_image(shape: Sequence[int]) -> bool:
    """Whether data of this shape can be shown by `save_grid`."""
    return len(shape) == 3 and shape[0] in (1, 3)


def as_bytes(values: Tensor, levels: int) -> Tensor:
    """Pixel values from 0 to levels - 1, and means between them, as uint8 from 0 to 255: images of 256 levels."""
    return (values.float() * (255 / (levels - 1))).round().to(torch.uint8)


def class_columns(n: int, num_classes: int) -> int | None:
    """Columns for `n` images of so many classes in turn: each holds one class, and the grid is about square.

    Returns: None, for the usual columns, where there are no classes or fewer images than classes.
    """
    return num_classes * math.ceil(math.sqrt(n) / num_classes) if 0 < num_classes <= n else None


def save_grid(images: Tensor, levels: int, path: str | Path, columns: int | None = None) -> None:
    """Write images as one PNG, row by row.

    Small images are enlarged by a whole factor, pixel by pixel.

    Args:
        images: uint8 [N, C, H, W] with C = 1 or 3, values 0 .. levels-1, shown from black to white.
        levels: number of values.
        path: the PNG to write; its folder is created.
        columns: images per row; by default about as many as there are rows.
    """
    n, channels, height, width = images.shape
    columns = min(n, columns or math.ceil(math.sqrt(n)))
    rows = math.ceil(n / columns)
    factor = max(1, math.ceil(_SMALLEST_TILE / max(height, width)))
    shown = as_bytes(images.cpu(), levels)
    shown = shown.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    step_y, step_x = height * factor + _GAP, width * factor + _GAP
    grid = torch.full((channels, rows * step_y - _GAP, columns * step_x - _GAP), 255, dtype=torch.uint8)
    for i, image in enumerate(shown):
        y, x = i // columns * step_y, i % columns * step_x
        grid[:, y : y + height * factor, x : x + width * factor] = image
    pixels = grid.permute(1, 2, 0).numpy()
    with replacing(Path(path)) as file:
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(file, "PNG")


def save_animation(pictures: Sequence[Path], path: str | Path) -> None:
    """Write pictures, oldest first, as one GIF that repeats, five a second, the last one held for three seconds.

    Of more than 40 so many are taken, evenly, the first and the last among them; larger ones than 480 pixels are
    shrunk. All are shown in the size of the last, so that some that were drawn otherwise disturb nothing.
    """
    last = len(pictures) - 1
    chosen = sorted({round(i * last / (_MOST_FRAMES - 1)) for i in range(_MOST_FRAMES)})
    frames = [_frame(pictures[i]) for i in chosen]
    frames = [frame for frame in frames if frame.size == frames[-1].size]
    times = [_FRAME_MS] * (len(frames) - 1) + [_LAST_FRAME_MS]
    with replacing(Path(path)) as file:
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0)


def _frame(picture: Path) -> Image.Image:
    with open_picture(picture) as image:
        frame = image.convert("L" if image.mode == "L" else "RGB")
    frame.thumbnail((_LARGEST_FRAME, _LARGEST_FRAME), Image.Resampling.BOX)
    return frame if frame.mode == "L" else frame.quantize(dither=Image.Dither.NONE)


def save_scatter(points: Tensor, path: str | Path, log_density: LogDensity | None = None) -> None:
    """Write points, float [N, 2], as a PNG scatter plot, beside it `log_density`; its folder is created.

    Of the square from -4 to 4, so that plots can be compared; without a density a larger one where points lie beyond.
    """
    figure = Figure(figsize=(5 if log_density is None else 9, 5), layout="constrained")
    panels = figure.subplots(1, 1 if log_density is None else 2, squeeze=False)[0]
    x, y = points.cpu().numpy().T
    panels[0].scatter(x, y, s=4, alpha=0.5, linewidths=0)
    farthest = points[points.isfinite()].abs().max().item() if points.isfinite().any() else 0.0
    side = _SIDE if log_density is not None else max(_SIDE, 1.05 * farthest)
    panels[0].set(xlim=(-side, side), ylim=(-side, side), aspect="equal")
    if log_density is not None:
        _show_density(panels[1], _on_grid(log_density, points.device))
    save_figure(figure, path)


def save_densities(log_densities: Mapping[str, LogDensity], path: str | Path, device: torch.device) -> None:
    """Write densities on the plane as one PNG, side by side, brightest where the first is highest.

    Its folder is created.

    Args:
        log_densities: by title.
        path: the PNG to write.
        device: of the points.
    """
    images = [_on_grid(log_density, device) for log_density in log_densities.values()]
    figure = Figure(figsize=(4 * len(images), 4.3), layout="constrained")
    panels = figure.subplots(1, len(images), squeeze=False)[0]
    highest = images[0].max()
    for title, image, axes in zip(log_densities, images, panels, strict=True):
        _show_density(axes, image, highest)
        axes.set_title(title)
    save_figure(figure, path)


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure as one PNG; its folder is created."""
    with replacing(Path(path)) as file:
        FigureCanvasAgg(figure).print_png(file)


def _on_grid(log_density: LogDensity, device: torch.device) -> np.ndarray:
    """The density itself, [y, x]."""
    axis = torch.linspace(-_SIDE, _SIDE, _DENSITY_POINTS, device=device)
    return log_density(torch.cartesian_prod(axis, axis)).exp().view(_DENSITY_POINTS, -1).T.cpu().numpy()


def _show_density(axes: Axes, image: np.ndarray, highest: float | None = None) -> None:
    axes.imshow(image, origin="lower", extent=(-_SIDE, _SIDE, -_SIDE, _SIDE), vmin=0, vmax=highest)
