"""Spectral normalisation of a network."""

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm, spectral_norm
from torch.nn.utils.parametrize import ParametrizationList

PRODUCTS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.Embedding)


def normalize_spectrally(network: nn.Module, layers: tuple[type[nn.Module], ...] = PRODUCTS) -> None:
    """Divide the weight of every such layer by its largest singular value (Miyato et al. 2018), in place.

    The singular value is that of the weight as a matrix [out, in * kernel], as in the official code, not of the
    convolution as an operator. One power iteration in every training forward pass, none in evaluation. Torch begins
    with fifteen, on the weights as they are now, so that the first step is normalised too: initialise them before.
    """
    for part in list(network.modules()):
        if isinstance(part, layers):
            spectral_norm(part)


def spectral_norms(module: nn.Module) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """All in `module`: its name, itself (weight -> normalised weight) and the weight as the optimiser has it."""
    for name, part in module.named_modules():
        if isinstance(part, ParametrizationList) and isinstance(part[0], _SpectralNorm):
            yield f"{name}.0", part[0], part.original
