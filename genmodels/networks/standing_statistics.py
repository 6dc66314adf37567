"""Batch norm's statistics for weights that no training step has seen, such as averaged ones."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def has_batch_norm(module: nn.Module) -> bool:
    """Whether what `module` makes of an example depends, in training, on the others of its batch."""
    return any(isinstance(part, _BatchNorm) for part in module.modules())


@torch.no_grad()
def standing_statistics(module: nn.Module, run: Callable[[nn.Module], object], batches: int) -> dict[str, Tensor]:
    """Mean and variance of every batch norm's input, the plain mean over several batches.

    Running averages lag behind the weights that are trained, and belong to none at all where the weights have been
    averaged; these belong to the weights as they are. They are the "standing statistics" of Brock et al. 2019
    (appendix on experimental details; recalled), as `utils.accumulate_standing_stats` of Brock's PyTorch code takes
    them: the variances too are averaged over batches, and how the means differ between batches is left out.

    Args:
        module: left as it is.
        run: called `batches` times with a copy of `module`, which it passes a batch through.
    Returns: by the names in `module.named_buffers()`, for `torch.func.functional_call`; empty without a batch norm.
    """
    names = [name for name, part in module.named_modules() if isinstance(part, _BatchNorm)]
    if not names:
        return {}
    copied = copy.deepcopy(module).eval()
    for name in names:
        norm = copied.get_submodule(name)
        assert isinstance(norm, _BatchNorm)
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches
        norm.train()
    for _ in range(batches):
        run(copied)
    kept = ("running_mean", "running_var")
    return {f"{name}.{which}": copied.get_buffer(f"{name}.{which}") for name in names for which in kept}
