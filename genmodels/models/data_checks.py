"""What models ask of the data, each in one sentence to the user."""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genmodels.errors import UserError

if TYPE_CHECKING:
    from genmodels.models.model import Model

_SHOWN = 6  # numbers of an example in a message


def in_words(x: Tensor) -> str:
    """One example by its first numbers, "values are [0.5, 3e+30, ...]", or an image's range."""
    if x.dim() != 1:
        return f"values go from {x.min().item():g} to {x.max().item():g}"
    shown = [f"{value:g}" for value in x[:_SHOWN].tolist()] + (["..."] if len(x) > _SHOWN else [])
    return f"values are [{', '.join(shown)}]"


def check_batch(model: "Model", x: Tensor, y: Tensor | None = None, *others: Any, **named: Any) -> None:
    """What a model asks of the data that it is called with: kind of numbers, shape, labels, and their ranges.

    The ranges are looked at on the CPU alone: on a GPU that would wait for all that is under way. 256 levels of uint8
    need no look.

    Raises:
        UserError: x or y is something else; one sentence.
    """
    _check_tensors(model, x=x, y=y)
    name, shape, levels = type(model).__name__, tuple(model.shape), model.levels
    wanted = "floats" if levels is None else f"integers 0 to {levels - 1}"
    if levels is None:
        fits = x.is_floating_point()
    else:
        fits = not (x.is_floating_point() or x.is_complex() or x.dtype is torch.bool)
    if not fits or x.dim() == 0 or tuple(x.shape[1:]) != shape:
        raise UserError(f"{name} takes {wanted} of {_batch_of(shape)}, and x is {_kind(x)}")
    if x.shape[0] == 0:
        raise UserError(f"{name} takes one example or more, and x holds none")
    _check_labels(model, y, x.shape[0], "examples")
    if levels is not None and _is_seen(x) and (levels < 256 or x.dtype is not torch.uint8):
        _check_range(name, "x", x, levels)


def check_draw(
    model: "Model", n: int, y: Tensor | None = None, temperature: float = 1.0, *others: Any, **named: Any
) -> None:
    """What a model asks where it is to draw `n` samples, of labels y.

    Raises:
        UserError: there is nothing to draw, the labels are others than the model's, or the temperature is none.
    """
    if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
        raise UserError(f"{type(model).__name__} draws a whole number of samples from 1 on, and n is {n!r}")
    _check_tensors(model, y=y)
    _check_labels(model, y, n, "samples")
    if not 0 <= temperature < math.inf:
        raise UserError(f"{type(model).__name__} draws at a temperature from 0 on, and it is {temperature}")


def check_latents(model: "Model", z: Tensor, y: Tensor | None = None, *others: Any, **named: Any) -> None:
    """What a model asks of the latents that it is to decode: some would broadcast what does not fit.

    Raises:
        UserError: z is of another shape than [B, *latent_shape] or no floats, or y does not belong to it.
    """
    shape = model.latent_shape
    if shape is None:
        return
    _check_tensors(model, z=z, y=y)
    if not z.is_floating_point() or z.dim() == 0 or tuple(z.shape[1:]) != shape or z.shape[0] == 0:
        raise UserError(f"{type(model).__name__} decodes floats of {_batch_of(shape)}, and z is {_kind(z)}")
    _check_labels(model, y, z.shape[0], "latents")


def _batch_of(shape: Sequence[int]) -> str:
    return f"shape [B, {', '.join(map(str, shape))}]"


def _kind(x: Tensor) -> str:
    return f"of {str(x.dtype).removeprefix('torch.')} and shape {list(x.shape)}"


def _check_tensors(model: "Model", **arguments: Any) -> None:
    for name, value in arguments.items():
        if value is not None and not isinstance(value, Tensor):
            raise UserError(f"{type(model).__name__} takes tensors, and {name} is a {type(value).__name__}")


def _check_labels(model: "Model", y: Tensor | None, count: int, what: str) -> None:
    name = type(model).__name__
    if y is None:
        return
    if y.shape != (count,):
        raise UserError(f"{name} takes a label for each of {count} {what}, and y is of shape {list(y.shape)}")
    if model.num_classes and y.dtype is not torch.int64:
        raise UserError(f"{name} takes labels of int64, and y is of {str(y.dtype).removeprefix('torch.')}")
    if model.num_classes and _is_seen(y):
        _check_range(name, "y", y, model.num_classes)


def _is_seen(values: Tensor) -> bool:
    """Not where a program is written down, which is for other values too."""
    return values.device.type == "cpu" and not (torch.compiler.is_compiling() or torch.jit.is_tracing())


def _check_range(model: str, name: str, values: Tensor, count: int) -> None:
    low, high = (int(end) for end in values.aminmax())
    if low < 0 or high >= count:
        raise UserError(f"{model} takes {name} from 0 to {count - 1}, and it goes from {low} to {high}")


def image_shape(model: str, shape: Sequence[int]) -> tuple[int, int, int]:
    """`shape` as (C, H, W).

    Raises:
        UserError: it is not an image's.
    """
    if len(shape) != 3:
        raise UserError(
            f"model={model} needs images (C, H, W) but the data has shape {list(shape)}; for vectors choose model=nice."
        )
    channels, height, width = shape
    return channels, height, width


def vector_features(model: str, shape: Sequence[int]) -> int:
    """D of data of shape (D,).

    Raises:
        UserError: it is of another shape.
    """
    if len(shape) != 1:
        raise UserError(
            f"model={model} needs vectors but the data has shape {list(shape)}: choose data=toy2d or data=energy2d."
        )
    return shape[0]


def conditional_classes(conditional: bool, num_classes: int | None) -> int:
    """The number of classes a model conditions on: 0 unless `conditional`.

    Raises:
        UserError: the data has no classes to condition on.
    """
    if not conditional:
        return 0
    if not num_classes:
        raise UserError("model.conditional=true needs data with classes, but data.num_classes is null.")
    return num_classes
