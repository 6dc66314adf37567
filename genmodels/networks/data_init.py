"""Data-dependent initialisation: layers that set their parameters from the activations of a first batch.

Salimans & Kingma 2016 (weight normalisation), Kingma & Dhariwal 2018 (actnorm). Initialisation is an explicit act,
never a side effect of the first training step: an uninitialised layer is simply the identity-like map that its
parameters describe, `initialize` runs the model once while every such layer sets itself in forward order, each on
inputs that the layers before it have already normalised. The flag is a buffer, so a loaded model is not initialised
again. Under data-parallel training one rank initialises and then sends its parameters to the others.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class DataInitialized(nn.Module):
    """A layer that can set its parameters from a batch.

    Where `self.is_pending` is true, a subclass's forward pass sets its parameters first and then calls `self._done()`.
    """

    initialized: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("initialized", torch.tensor(False))
        # A Python flag beside the buffer: reading a buffer in every forward pass would wait for the GPU.
        self.is_pending = False

    def _done(self) -> None:
        self.initialized.fill_(True)
        self.is_pending = False


def standardization(x: Tensor, smallest_variance: float = 0.0) -> tuple[Tensor, Tensor]:
    """Shift b and log-scale s for which (x + b) * exp(s) has mean 0 and variance 1 in every channel.

    A channel that is constant (deviation below 1e-4) keeps its scale. Deviation: Glow's official code divides by
    deviation + 1e-6, and where all units that feed a channel are dead the first change of the weights below is then
    multiplied by a million.

    Args:
        smallest_variance: channels of less get the scale of this one, and keep a variance below 1.
    Shapes: x [B, C, ...] -> b, s [C].
    """
    variance, mean = torch.var_mean(x, dim=[0, *range(2, x.dim())], correction=0)
    deviation = variance.clamp(min=smallest_variance).sqrt()
    return -mean, torch.where(deviation < 1e-4, 0.0, -torch.log(deviation))


def _uninitialized(model: nn.Module) -> list[DataInitialized]:
    return [m for m in model.modules() if isinstance(m, DataInitialized) and not bool(m.initialized)]


def needs_initialization(model: nn.Module) -> bool:
    """Whether any layer of `model` still waits for its first batch."""
    return bool(_uninitialized(model))


@torch.no_grad()
def initialize(model: nn.Module, run: Callable[[], object]) -> None:
    """Initialise every layer of `model` that has not been, from the activations of one call of `run`.

    Args:
        model: layers already initialised (loaded ones too) are left as they are.
        run: passes a batch through the model, e.g. `lambda: model.log_prob(x, y)`. A few hundred images are enough.
    """
    waiting = _uninitialized(model)
    if not waiting:
        return
    try:
        for layer in waiting:
            layer.is_pending = True
        run()
    finally:
        for layer in waiting:
            layer.is_pending = False
