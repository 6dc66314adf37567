"""Draw samples from a finished run."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from genmodels.commands import command, typeable
from genmodels.errors import UserError
from genmodels.evaluation.setting import Setting, on
from genmodels.models import Method
from genmodels.models.capabilities import offered, required
from genmodels.models.contract import Model, PixelByPixel, Sampler, Translates
from genmodels.progress_bar import progress
from genmodels.ranges import at_least


def draw(
    setting: Setting,
    n: int = 64,
    temperature: float = 1.0,
    labels: int | list[int] | None = None,
    method: Method = "cached",
) -> list[Path]:
    """Write `n` samples as a picture and as arrays; the same seed, n and batch size give the same ones.

    Args:
        temperature: of the samples; 1 is the model itself.
        labels: class of all samples, or classes that are repeated in turn; None: every class in turn where the model
            is class-conditional.
        method: how a model draws that does so pixel by pixel; others pay no heed.

    Returns: the files, see `Setting.write`.

    Raises:
        UserError: the model cannot sample, draws what is not of its data's kind, or the arguments do not fit it.
    """
    if offered(setting.model, Translates) is not None:
        raise UserError(
            f"{type(setting.model).__name__} translates what it is given and draws nothing by itself: "
            f"{command('evaluate')} run={typeable(setting.run.folder.path)} metrics=[translations] shows what it makes"
        )
    sampler = required(setting.model, Sampler, "sampling")
    at_least(1, under="", n=n)
    at_least(0, under="", temperature=temperature)
    y = _labels(setting.model, n, labels)
    with torch.no_grad(), setting.noise("sample"):
        samples = torch.cat([part.cpu() for part in _parts(setting, sampler, n, y, temperature, method)])
    return setting.write(samples, y, f"sample_n{n}_t{temperature:g}_seed{setting.seed}")


def _parts(
    setting: Setting, sampler: Sampler, n: int, y: Tensor | None, temperature: float, method: Method
) -> Iterator[Tensor]:
    by_pixels = offered(setting.model, PixelByPixel)
    starts = range(0, n, setting.batch_size)
    # One bar at a time: over the pixels of a batch, which take long, or over the batches.
    for start in progress(starts, "sampling") if by_pixels is None else starts:
        labels = None if y is None else on(setting.place, y[start : start + setting.batch_size])
        size = min(setting.batch_size, n - start)
        if by_pixels is None:
            yield sampler.sample(size, labels, temperature=temperature)
        else:
            bar = partial(progress, description=f"sampling {start + 1} to {start + size} of {n}")
            yield by_pixels.sample(size, labels, temperature, method=method, track=bar)


def _labels(model: Model, n: int, labels: int | list[int] | None) -> Tensor | None:
    classes = model.num_classes
    if not classes:
        if labels is not None:
            raise UserError(f"labels={labels}: the model was not trained with classes, so leave labels out")
        return None
    chosen = list(range(classes)) if labels is None else [labels] if isinstance(labels, int) else labels
    if not chosen or not all(0 <= label < classes for label in chosen):
        raise UserError(f"labels={labels} must lie in 0 .. {classes - 1}")
    return torch.tensor(chosen)[torch.arange(n) % len(chosen)]
