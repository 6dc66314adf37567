"""Spectral normalisation as a choice of a network."""

from typing import TypeVar

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

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
