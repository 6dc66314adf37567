"""Draw samples from a finished run."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genmodels.commands import assigned, command, typeable
from genmodels.errors import UserError
from genmodels.evaluation.setting import Setting, on
from genmodels.models import Method
from genmodels.models.capabilities import offered, required
from genmodels.models.contract import Guidable, PixelByPixel, Sampler, Stepwise, Translates, Truncatable
from genmodels.models.model import Model
from genmodels.pictures import class_columns
from genmodels.progress_bar import progress
from genmodels.ranges import at_least

_CHOICES: dict[str, type] = {"method": Stepwise, "truncation": Truncatable, "guidance": Guidable}


def draw(
    setting: Setting,
    n: int = 64,
    temperature: float = 1.0,
    labels: int | list[int] | None = None,
    method: Method | None = None,
    truncation: float | list[float] | None = None,
    guidance: float | None = None,
) -> list[Path]:
    """Write `n` samples as a picture and as arrays; the same seed, n and batch size give the same ones.

    Args:
        temperature: of the samples; 1 is the model itself.
        labels: class of all samples, or classes that are repeated in turn; None: every class in turn where the model
            is class-conditional. Each column of the picture holds one class, unless there are more classes than images.
        method: how a model draws that does so step by step; None: its own, cached.
        truncation: of the latents, as the model has it. Of a list each value gets a row of the picture and its share
            of the `n` samples, every row from the same noise: a column shows what truncation does to one latent.
        guidance: towards the classes, as the model has it.

    Returns: the files, see `Setting.write`.

    Raises:
        UserError: the model cannot sample, draws what is not of its data's kind, or the arguments do not fit it.
    """
    if offered(setting.model, Translates) is not None:
        run = assigned("run", typeable(setting.run.folder.path))
        raise UserError(
            f"{type(setting.model).__name__} translates what it is given and draws nothing by itself: "
            f"{command('evaluate')} {run} metrics=[translations] shows what it makes"
        )
    setting.hold(n=n)
    at_least(0, under="", temperature=temperature)
    if truncation == []:
        raise UserError("truncation=[] holds no value: leave it out for samples without truncation")
    values = truncation if isinstance(truncation, list) else [truncation]
    if n < len(values):
        raise UserError(f"n={n} is less than the {len(values)} values of truncation, which take a row each: raise n")
    each = n // len(values)
    classes = classes_in_turn(setting.model, labels)
    y = labels_in_turn(classes, each)
    samples = []
    for value in values:
        with torch.no_grad(), setting.noise("sample"):
            sample = _sampler(setting.model, temperature, method=method, truncation=value, guidance=guidance)
            samples += [part.cpu() for part in _parts(setting, sample, each, y)]
    guided = "" if guidance is None else f"_guidance{guidance:g}"
    name = f"sample_n{each * len(values)}_t{temperature:g}{_of_truncation(values)}{guided}_seed{setting.seed}"
    columns = each if len(values) > 1 else class_columns(each, len(classes))
    return setting.write(torch.cat(samples), None if y is None else y.repeat(len(values)), name, columns)


def classes_in_turn(model: Model, labels: int | list[int] | None) -> list[int]:
    """The classes that `labels` asks for, by default all; none for a model without classes.

    Raises:
        UserError: the model has no such classes.
    """
    if not model.num_classes:
        if labels is not None:
            raise UserError(f"labels={labels}: the model was not trained with classes, so leave labels out")
        return []
    chosen = list(range(model.num_classes)) if labels is None else [labels] if isinstance(labels, int) else labels
    if not chosen or not all(0 <= label < model.num_classes for label in chosen):
        raise UserError(f"labels={labels} must lie in 0 .. {model.num_classes - 1}")
    return chosen


def rows_of(key: str, n: int, length: int) -> int:
    """How many rows of a picture `n` images make.

    Raises:
        UserError: they do not fill them.
    """
    if n % length:
        lower = n - n % length
        fitting = f"{lower} or {lower + length}" if lower else str(length)
        raise UserError(f"n={n} does not fill the rows of {length} that {key} draws: take n={fitting}")
    return n // length


def labels_in_turn(classes: list[int], n: int) -> Tensor | None:
    """The classes repeated in turn, [n]; None where there are none."""
    return torch.tensor(classes)[torch.arange(n) % len(classes)] if classes else None


def _parts(setting: Setting, sample: Callable[..., Tensor], n: int, y: Tensor | None) -> Iterator[Tensor]:
    by_pixels = offered(setting.model, PixelByPixel) is not None
    starts = range(0, n, setting.batch_size)
    # One bar at a time: over the pixels of a batch, which take long, or over the batches.
    for start in starts if by_pixels else progress(starts, "sampling"):
        labels = None if y is None else on(setting.place, y[start : start + setting.batch_size])
        size = min(setting.batch_size, n - start)
        if by_pixels:
            bar = partial(progress, description=f"sampling {start + 1} to {start + size} of {n}")
            yield sample(size, labels, track=bar)
        else:
            yield sample(size, labels)


def _sampler(model: Model, temperature: float, **choices: Any) -> Callable[..., Tensor]:
    """The model's `sample` with what was chosen; None is no choice.

    Raises:
        UserError: the model has no such choice.
    """
    chosen = {name: value for name, value in choices.items() if value is not None}
    for name, value in chosen.items():
        required(model, _CHOICES[name], f"{name}={value}")
    return partial(required(model, Sampler, "sampling").sample, temperature=temperature, **chosen)


def _of_truncation(values: Sequence[float | None]) -> str:
    given = [f"{value:g}" for value in values if value is not None]
    return "_truncation" + "-".join(given) if given else ""
