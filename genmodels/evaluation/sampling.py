"""Draw samples from a finished run."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.evaluation.scoring import check_at_least, chosen_device
from genmodels.models import AutoregressiveModel
from genmodels.models.autoregressive.autoregressive_model import Method
from genmodels.pictures import save_grid, save_scatter
from genmodels.progress_bar import progress
from genmodels.runs.finished_run import Run
from genmodels.training.seeding import mixed_seed, seeded


def draw(
    run: Run,
    n: int = 64,
    temperature: float = 1.0,
    seed: int = 0,
    labels: int | list[int] | None = None,
    batch_size: int = 100,
    device: str = "auto",
    out: str | None = None,
    method: Method = "cached",
) -> list[Path]:
    """Write `n` samples as a picture and as arrays.

    Args:
        run: with the weights to sample from.
        temperature: of the samples; 1 is the model itself.
        seed: the same seed, n and batch_size give the same samples.
        labels: class of all samples, or classes that are repeated in turn; None: every class in turn where the model
            is class-conditional.
        batch_size: samples at a time.
        device: "auto", "cpu", "cuda", "cuda:1".
        out: path of the files without their suffixes; by default in the run's `samples` folder.
        method: how an autoregressive model draws; other models pay no heed.

    Returns: the files: .npz (arrays `samples`, in the data's own type, and `labels`), and .png where there is a way to
        draw the data.

    Raises:
        UserError: the model cannot sample, or the arguments do not fit it.
    """
    if not hasattr(run.model, "sample"):
        raise UserError(f"{type(run.model).__name__} cannot sample: it has no sample()")
    check_at_least(1, n=n, batch_size=batch_size)
    check_at_least(0, temperature=temperature)
    place = chosen_device(device)
    model = run.model.to(place)
    y = _labels(model, n, labels)
    with torch.no_grad(), seeded(mixed_seed(seed, "sample"), place):
        samples = torch.cat([part.cpu() for part in _batches(model, n, y, temperature, batch_size, place, method)])
    path = drawing_path(run, out, f"sample_n{n}_t{temperature:g}_seed{seed}")
    return write_drawing(samples, y, model.levels, path)


def _batches(
    model: Any, n: int, y: Tensor | None, temperature: float, batch_size: int, place: torch.device, method: Method
) -> Iterator[Tensor]:
    by_pixels = isinstance(model, AutoregressiveModel)
    starts = range(0, n, batch_size)
    # One bar at a time: over the pixels of a batch, which take long, or over the batches.
    for start in starts if by_pixels else progress(starts, "sampling"):
        labels = None if y is None else y[start : start + batch_size].to(place)
        size = min(batch_size, n - start)
        if by_pixels:
            bar = partial(progress, description=f"sampling {start + 1} to {start + size} of {n}")
            yield model.sample(size, labels, temperature, method=method, track=bar)
        else:
            yield model.sample(size, labels, temperature=temperature)


def drawing_path(run: Run, out: str | None, name: str) -> Path:
    """Where a drawing goes, suffix left off: `out`, or `name` in the run's samples folder."""
    if out is None:
        return run.folder.samples / name
    return Path(out).with_suffix("") if Path(out).suffix in (".png", ".npz") else Path(out)


def write_drawing(
    samples: Tensor, labels: Tensor | None, levels: int | None, path: Path, columns: int | None = None
) -> list[Path]:
    """Write samples to <path>.npz and, where there is a way to draw them, to <path>.png.

    Images of 1 or 3 channels make a grid, points in the plane a scatter plot.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays, picture = path.with_name(f"{path.name}.npz"), path.with_name(f"{path.name}.png")
    np.savez_compressed(
        arrays, samples=samples.numpy(), labels=np.array([]) if labels is None else labels.cpu().numpy()
    )
    if levels is not None and samples.shape[1] in (1, 3):
        save_grid(samples, levels, picture, columns)
    elif samples.shape[1:] == (2,):
        save_scatter(samples, picture)
    else:
        return [arrays]
    return [picture, arrays]


def _labels(model: nn.Module, n: int, labels: int | list[int] | None) -> Tensor | None:
    classes = getattr(model, "num_classes", None) or 0
    if not classes:
        if labels is not None:
            raise UserError(f"labels={labels}: the model was not trained with classes, so leave labels out")
        return None
    chosen = list(range(classes)) if labels is None else [labels] if isinstance(labels, int) else labels
    if not chosen or not all(0 <= label < classes for label in chosen):
        raise UserError(f"labels={labels} must lie in 0 .. {classes - 1}")
    return torch.tensor(chosen)[torch.arange(n) % len(chosen)]
