"""WGAN: Wasserstein Generative Adversarial Networks (Arjovsky, Chintala & Bottou, ICML 2017), and its gradient penalty.

The networks are those with which WGAN-GP's authors compare both: Improved Training of Wasserstein GANs (Gulrajani et
al., NeurIPS 2017), `gan_cifar.py`.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.models.data_checks import image_shape
from genmodels.models.gans.adversarial_model import AdversarialModel
from genmodels.networks.layout import fast_layout
from genmodels.networks.same_conv import halved, zeros_around
from genmodels.networks.spectral import normalize_spectrally
from genmodels.ranges import at_least

Size = tuple[int, int]
_KERNEL = 5


class WGAN(AdversarialModel):
    """DCGAN's ladder with 5x5 kernels: matrix products at the small end, convolutions of stride 2 between.

    Batch norm in the generator, in the critic too where weights are clipped, and none there with a gradient penalty;
    leaky ReLU (0.2) in the critic. On 3x32x32, where width is the official code's DIM, 5,179,907 and 4,114,689
    parameters, with batch norm in the critic 1,536 more.

    Sides that are odd are halved upwards, and the generator's maps cut to size again, as in `gan_mnist.py` (7 of 8 rows
    on 28x28). Deviation: it cuts behind the ReLU, and we before batch norm.

    Args:
        shape: (C, H, W).
        levels: number of pixel values.
        width: channels at half of the full size; twice as many at each further halving.
        num_latents: Z.
        num_scales: halvings.
        spectral_norm: of the critic's layers, which then have no batch norm.
        critic_norm: batch norm between the critic's layers, or none (as a gradient penalty needs it).
    Raises:
        UserError: a size is out of its range, or the data is not made of images.
    """

    takes = frozenset(("images",))

    def __init__(
        self,
        shape: Sequence[int],
        levels: int,
        width: int = 128,
        num_latents: int = 128,
        num_scales: int = 3,
        spectral_norm: bool = False,
        critic_norm: Literal["batch", "none"] = "none",
    ) -> None:
        at_least(1, width=width, num_latents=num_latents, num_scales=num_scales)
        channels, *size = image_shape("wgan", shape)
        sizes = list(itertools.accumulate(range(num_scales), lambda s, _: halved(s), initial=(size[0], size[1])))
        widths = [width * 2**i for i in range(num_scales)]
        generator = _Generator(num_latents, channels, sizes, widths)
        normed = critic_norm == "batch" and not spectral_norm
        discriminator = _Discriminator(channels, sizes[-1], widths, normed)
        for part in (*generator.modules(), *discriminator.modules()):
            _initialize(part)
        if spectral_norm:
            normalize_spectrally(discriminator)
        super().__init__(generator, discriminator, shape, levels, num_latents)


class _Generator(nn.Module):
    """Shapes: z [B, Z] -> [B, C, H, W] from -1 to 1.

    Args:
        sizes: of the maps, from the image's to the smallest.
        widths: channels of those maps but the image.
    """

    def __init__(self, num_latents: int, channels: int, sizes: Sequence[Size], widths: Sequence[int]) -> None:
        super().__init__()
        self.smallest = (widths[-1], *sizes[-1])
        features = math.prod(self.smallest)
        self.first = nn.Sequential(nn.Linear(num_latents, features), nn.BatchNorm1d(features), nn.ReLU(inplace=True))
        layers: list[nn.Module] = []
        for (above, below), size in zip(itertools.pairwise(widths[::-1]), sizes[-2:0:-1], strict=True):
            layers += [_Doubling(above, below, size), nn.BatchNorm2d(below), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, _Doubling(widths[0], channels, sizes[0]))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.layers(fast_layout(self.first(z).unflatten(1, self.smallest))).tanh()


class _Discriminator(nn.Module):
    """Shapes: [B, C, H, W] -> [B]."""

    def __init__(self, channels: int, smallest: Size, widths: Sequence[int], normed: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index, (before, width) in enumerate(itertools.pairwise((channels, *widths))):
            layers.append(_Halving(before, width))
            if normed and index:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.layers = nn.Sequential(*layers)
        self.last = nn.Linear(widths[-1] * math.prod(smallest), 1)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.last(self.layers(fast_layout(x)).flatten(1))[:, 0]


class _Halving(nn.Conv2d):
    """Convolution of stride 2, padded as by TensorFlow's "SAME": [B, I, H, W] -> [B, O, ceil(H / 2), ceil(W / 2)]."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, _KERNEL, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        (above, below), (left, right) = (zeros_around(length, _KERNEL, 2) for length in x.shape[2:])
        return super().forward(F.pad(x, (left, right, above, below)))


class _Doubling(nn.ConvTranspose2d):
    """The transpose of such a convolution of an image of even sides, cut to `size`: [B, I, h, w] -> [B, O, *size]."""

    def __init__(self, in_channels: int, out_channels: int, size: Size) -> None:
        super().__init__(in_channels, out_channels, _KERNEL, stride=2, padding=1)
        self.size = size

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        height, width = self.size
        return super().forward(x)[:, :, :height, :width]


def _initialize(part: nn.Module) -> None:
    """The official code's: uniform, of variance 4 / (fan in + fan out) of strided layers, half as much of matrices."""
    if isinstance(part, _Halving | _Doubling):
        across, within = part.out_channels, part.in_channels
        if isinstance(part, _Doubling):
            across, within = within, across
        bound = math.sqrt(3 * 4 / (_KERNEL**2 * (within + across / 4)))
        nn.init.uniform_(part.weight, -bound, bound)
    elif isinstance(part, nn.Linear):
        nn.init.xavier_uniform_(part.weight)
    if isinstance(part, _Halving | _Doubling | nn.Linear):
        assert part.bias is not None
        nn.init.zeros_(part.bias)
