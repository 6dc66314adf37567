"""Spectral normalisation as a choice of a network."""

from collections.abc import Iterator
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm, spectral_norm
from torch.nn.utils.parametrize import ParametrizationList

Layer = TypeVar("Layer", bound=nn.Module)


def spectrally_normalized(layer: Layer, wanted: bool = True) -> Layer:
    """`layer` with its weight divided by its largest singular value, where that is wanted (Miyato et al. 2018).

    The singular value is that of the weight as a matrix [out, in * kernel], as in the official code, not of the
    convolution as an operator. One power iteration in every training forward pass, none in evaluation; torch begins
    with fifteen, so that the first step is normalised too.
    """
    if wanted:
        spectral_norm(layer)  # in place
    return layer


def spectral_norms(module: nn.Module) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """All in `module`: its name, itself (weight -> normalised weight) and the weight as the optimiser has it."""
    for name, part in module.named_modules():
        if isinstance(part, ParametrizationList) and isinstance(part[0], _SpectralNorm):
            yield f"{name}.0", part[0], part.original
