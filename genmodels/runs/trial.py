"""A user's own model tried on two examples before there is a run: what no signature tells, shapes and types."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from genmodels import plugins
from genmodels.models.capabilities import offered
from genmodels.models.contract import Batch, Density, Latent, Sampler
from genmodels.models.model import Model
from genmodels.randomness import seed_for, seeded

_EXAMPLES = 2


@torch.no_grad()
def trial_errors(model: Model, batch: Batch) -> Iterator[str]:
    """A sentence for each thing that the model promises and does not do, on the first examples of a batch.

    In evaluation mode, without gradients and with the caller's random state put back, so that nothing is changed.
    """
    x, y = (None if part is None else part[:_EXAMPLES] for part in batch)
    assert x is not None
    was_training = model.training
    model.eval()
    try:
        with seeded(seed_for("trial"), x.device):
            yield from _density_errors(model, x, y)
            yield from _sampler_errors(model, x, y)
            yield from _latent_errors(model, x, y)
    finally:
        model.train(was_training)


def _density_errors(model: Model, x: Tensor, y: Tensor | None) -> Iterator[str]:
    density = offered(model, Density)
    if density is None:
        return
    name = f"{type(model).__name__}.log_prob"
    found, failure = _called(lambda: density.log_prob(x, y), name)
    if failure:
        yield failure
    elif not isinstance(found, Tensor) or found.shape != (len(x),) or not found.is_floating_point():
        yield f"{name} has to give one number for each example, {_in_words((len(x),))} of floats, not {_shown(found)}"


def _sampler_errors(model: Model, x: Tensor, y: Tensor | None) -> Iterator[str]:
    sampler = offered(model, Sampler)
    if sampler is None:
        return
    name, labels = f"{type(model).__name__}.sample", y if model.num_classes else None
    found, failure = _called(lambda: sampler.sample(len(x), labels, temperature=1.0), name)
    if failure:
        yield failure
        return
    if not isinstance(found, Tensor) or found.shape != x.shape or found.dtype != x.dtype:
        yield f"{name} has to give {_shown(x)} as the data is, not {_shown(found)}"
    elif model.levels is not None and int(found.max()) >= model.levels:
        yield f"{name} gives {int(found.max())}, and the data's values are 0 to {model.levels - 1}"


def _latent_errors(model: Model, x: Tensor, y: Tensor | None) -> Iterator[str]:
    latent = offered(model, Latent)
    if latent is None:
        return
    name = f"{type(model).__name__}.decode"
    found, failure = _called(lambda: latent.decode(latent.encode(x, y), y), f"{name}(encode(x))")
    if failure:
        yield failure
    elif not isinstance(found, Tensor) or found.shape != x.shape or found.dtype != x.dtype:
        yield f"{name} has to give {_shown(x)} as the data is, not {_shown(found)}"


def _called(call: Callable[[], Any], name: str) -> tuple[Any, str | None]:
    """What the call returns, and a sentence if it raises."""
    try:
        return call(), None
    except Exception as error:  # whatever a user's model does
        return None, f"{name} fails on {_EXAMPLES} examples: {plugins.in_one_line(error)}"


def _shown(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    return f"{_in_words(tuple(value.shape))} of {str(value.dtype).removeprefix('torch.')}"


def _in_words(shape: tuple[int, ...]) -> str:
    return f"a tensor {list(shape)}"
