"""GAN: Generative Adversarial Nets (Goodfellow et al., NeurIPS 2014, arXiv:1406.2661), two perceptrons."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genmodels.models.gans.adversarial_model import AdversarialModel
from genmodels.networks.spectral import normalize_spectrally
from genmodels.ranges import at_least


class GAN(AdversarialModel):
    """Perceptrons for images and vectors of any shape: ReLU in the generator, leaky ReLU (0.2) in the critic.

    Deviation: the paper's critic has maxout units and dropout, and its generator sigmoids; it leaves sizes to its
    code. These are the perceptrons with which later papers show what losses do (ring and grid of Gaussians). Labels
    are one-hot numbers beside the input.

    Args:
        shape: (C, H, W), or (D,).
        levels: number of pixel values; None for vectors.
        num_latents: Z.
        width: of the hidden layers.
        num_hidden: hidden layers of each.
        spectral_norm: of the critic's layers (Miyato et al. 2018).
        conditional: both see the label.
        num_classes: of the data.
    Raises:
        UserError: a size is out of its range, or there are no classes to condition on.
    """

    def __init__(
        self,
        shape: Sequence[int],
        levels: int | None,
        num_latents: int = 64,
        width: int = 256,
        num_hidden: int = 2,
        spectral_norm: bool = False,
        conditional: bool = False,
        num_classes: int | None = None,
    ) -> None:
        at_least(1, num_latents=num_latents, width=width, num_hidden=num_hidden)
        classes = num_classes or 0 if conditional else 0
        generator = _Generator(num_latents, shape, width, num_hidden, classes, bounded=levels is not None)
        discriminator = _Discriminator(shape, width, num_hidden, classes)
        if spectral_norm:
            normalize_spectrally(discriminator)
        super().__init__(generator, discriminator, shape, levels, num_latents, conditional, num_classes)


class _Generator(nn.Module):
    def __init__(
        self, num_latents: int, shape: Sequence[int], width: int, num_hidden: int, num_classes: int, bounded: bool
    ) -> None:
        super().__init__()
        self.shape, self.num_classes, self.bounded = tuple(shape), num_classes, bounded
        self.layers = _perceptron(num_latents + num_classes, math.prod(shape), width, num_hidden, nn.ReLU())

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        x = self.layers(_with_labels(z, y, self.num_classes)).view(len(z), *self.shape)
        return x.tanh() if self.bounded else x


class _Discriminator(nn.Module):
    def __init__(self, shape: Sequence[int], width: int, num_hidden: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        inputs = math.prod(shape) + num_classes
        self.layers = _perceptron(inputs, 1, width, num_hidden, nn.LeakyReLU(0.2))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.layers(_with_labels(x.flatten(1), y, self.num_classes))[:, 0]


def _perceptron(inputs: int, outputs: int, width: int, num_hidden: int, activation: nn.Module) -> nn.Sequential:
    sizes = [inputs, *[width] * num_hidden]
    hidden = [layer for a, b in itertools.pairwise(sizes) for layer in (nn.Linear(a, b), activation)]
    return nn.Sequential(*hidden, nn.Linear(width, outputs))


def _with_labels(x: Tensor, y: Tensor | None, num_classes: int) -> Tensor:
    if y is None:
        return x
    return torch.cat((x, nn.functional.one_hot(y, num_classes).to(x.dtype)), dim=1)
