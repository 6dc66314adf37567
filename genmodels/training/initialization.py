"""Data-dependent initialisation at the start of a run, once, on one rank, for all ranks."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from genmodels.models.contract import Batch
from genmodels.networks.data_init import initialize
from genmodels.randomness import seed_for, seeded


def initialize_from(
    model: nn.Module,
    run: Callable[[Tensor, Tensor | None], object],
    batches: Iterable[Batch],
    to_device: Callable[[Batch], Batch],
    size: int,
    seed: int,
) -> None:
    """Initialise `model` (actnorm and the like) from the first `size` samples of `batches`.

    Args:
        run: passes a batch (x, y) through the model as training does.
        batches: iterated afresh and left after enough samples; fewer than `size` samples are used as they are.
        to_device: moves a batch to the model's device.
        size: number of samples; Glow's official code takes 256.
        seed: of the run; the dequantisation noise of this pass is a function of it.
    """
    x, y = to_device(_first(batches, size))
    with seeded(seed_for("initialization", seed), x.device):
        initialize(model, lambda: run(x, y))


def broadcast_from_rank_zero(model: nn.Module) -> None:
    """Overwrite every parameter and buffer of `model`, in place, with those of rank 0."""
    for tensor in (*model.parameters(), *model.buffers()):
        torch.distributed.broadcast(tensor.detach(), src=0)


def _first(batches: Iterable[Batch], size: int) -> Batch:
    xs: list[Tensor] = []
    ys: list[Tensor] = []
    for x, y in batches:
        xs.append(x)
        if y is not None:
            ys.append(y)
        if sum(map(len, xs)) >= size:
            break
    return torch.cat(xs)[:size], torch.cat(ys)[:size] if ys else None
