"""What batch norm and spectral norm know of the weights, for weights that no training step has seen."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from genmodels.networks.spectral import spectral_norms

_POWER_ITERATIONS = 15  # as many as torch begins with


def has_batch_norm(module: nn.Module) -> bool:
    """Whether what `module` makes of an example depends, in training, on the others of its batch."""
    return any(isinstance(part, _BatchNorm) for part in module.modules())


@torch.no_grad()
def standing_statistics(module: nn.Module, run: Callable[[nn.Module], object], batches: int) -> dict[str, Tensor]:
    """Mean and variance of every batch norm's input, the plain mean over several batches; vectors of spectral norms.

    Running averages lag behind the weights that are trained, and belong to none at all where the weights have been
    averaged, nor do the singular vectors that training has iterated; these belong to the weights as they are. They are
    the "standing statistics" of Brock et al. 2019 (appendix on experimental details; recalled), as
    `utils.accumulate_standing_stats` of Brock's PyTorch code takes them: the variances too are averaged over batches,
    and how the means differ between batches is left out. Its spectral norms iterate once more in evaluation too.

    Args:
        module: left as it is.
        run: called `batches` times with a copy of `module`, which it passes a batch through.
    Returns: by the names in `module.named_buffers()`, for `torch.func.functional_call`; empty with neither norm.
    """
    names = [name for name, part in module.named_modules() if isinstance(part, _BatchNorm)]
    if not names and not any(spectral_norms(module)):
        return {}
    copied = copy.deepcopy(module).eval()
    found = _singular_vectors(copied)
    if not names:
        return found
    for name in names:
        norm = copied.get_submodule(name)
        assert isinstance(norm, _BatchNorm)
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches
        norm.train()
    for _ in range(batches):
        run(copied)
    kept = ("running_mean", "running_var")
    return found | {f"{name}.{which}": copied.get_buffer(f"{name}.{which}") for name in names for which in kept}


def _singular_vectors(module: nn.Module) -> dict[str, Tensor]:
    """Those of every spectral norm, iterated further in place."""
    found: dict[str, Tensor] = {}
    for name, norm, weight in spectral_norms(module):
        norm.train()
        for _ in range(_POWER_ITERATIONS):
            norm(weight)
        norm.eval()
        found |= {f"{name}.{buffer}": value for buffer, value in norm.named_buffers()}
    return found
