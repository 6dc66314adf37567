"""DCGAN: Unsupervised Representation Learning with Deep Convolutional GANs (Radford, Metz & Chintala, ICLR 2016)."""

import itertools
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.models.data_checks import image_shape
from genmodels.models.gans.adversarial_model import AdversarialModel
from genmodels.networks.layout import fast_layout
from genmodels.networks.spectral import spectrally_normalized
from genmodels.ranges import at_least


class DCGAN(AdversarialModel):
    """A ladder of strided 4x4 convolutions, up in the generator and down in the critic, doubling and halving the side.

    Batch norm in both but for the generator's output and the critic's input, ReLU and tanh in the generator, leaky ReLU
    (0.2) in the critic, weights from N(0, 0.02) and batch norm's gains from N(1, 0.02) (Section 3; the gains are those
    of the official code). For 32x32 images width 64 gives 512 channels at 4x4, as in later CIFAR-10 code; the paper's
    64x64 images have one more step and 1,024.

    Deviations: 4x4 kernels as in the official torch code, where Figure 1 shows 5x5; z is normal unless asked for, where
    the paper draws it uniformly.

    Args:
        shape: (C, H, W); sides that `num_scales` halvings divide.
        levels: number of pixel values.
        width: channels at half of the full size; twice as many at each further halving.
        num_latents: Z.
        num_scales: halvings.
        spectral_norm: of the critic's layers, which then have no batch norm.
        critic_norm: batch norm between the critic's layers, or none (as a gradient penalty needs it).
        latent: p(z), normal or uniform.
    Raises:
        UserError: a size is out of its range, the sides cannot be halved so often, or the data is not made of images.
    """

    takes = frozenset(("images",))

    def __init__(
        self,
        shape: Sequence[int],
        levels: int,
        width: int = 64,
        num_latents: int = 100,
        num_scales: int = 3,
        spectral_norm: bool = False,
        critic_norm: Literal["batch", "none"] = "batch",
        latent: Literal["normal", "uniform"] = "normal",
    ) -> None:
        at_least(1, width=width, num_scales=num_scales)
        channels, height, side = image_shape("dcgan", shape)
        smallest = halved("dcgan", (height, side), num_scales)
        widths = [width * 2**i for i in range(num_scales)]
        generator = _Generator(num_latents, channels, smallest, widths[::-1])
        normed = critic_norm == "batch" and not spectral_norm
        discriminator = _Discriminator(channels, smallest, widths, spectral_norm, normed)
        super().__init__(generator, discriminator, shape, levels, num_latents, latent=latent)
        self.apply(_initialize)


class _Generator(nn.Module):
    """Shapes: z [B, Z] -> [B, C, H, W] from -1 to 1."""

    def __init__(self, num_latents: int, channels: int, smallest: tuple[int, int], widths: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ConvTranspose2d(num_latents, widths[0], smallest, bias=False)]
        for above, below in itertools.pairwise(widths):
            layers += [nn.BatchNorm2d(above), nn.ReLU(inplace=True)]
            layers.append(nn.ConvTranspose2d(above, below, 4, 2, 1, bias=False))
        layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True)]
        layers.append(nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.layers(fast_layout(z[:, :, None, None])).tanh()


class _Discriminator(nn.Module):
    """Shapes: [B, C, H, W] -> [B]."""

    def __init__(
        self, channels: int, smallest: tuple[int, int], widths: Sequence[int], spectral_norm: bool, normed: bool
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index, (before, width) in enumerate(zip((channels, *widths), widths, strict=False)):
            bias = not normed or index == 0
            layers.append(spectrally_normalized(nn.Conv2d(before, width, 4, 2, 1, bias=bias), spectral_norm))
            if normed and index:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        layers.append(spectrally_normalized(nn.Conv2d(widths[-1], 1, smallest), spectral_norm))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.layers(fast_layout(x)).flatten()


def halved(model: str, size: tuple[int, int], times: int) -> tuple[int, int]:
    """What is left of an image's sides after so many halvings.

    Raises:
        UserError: they cannot be halved so often.
    """
    if any(side % 2**times or side < 2 ** (times + 1) for side in size):
        most = max((n for n in range(1, 8) if all(s % 2**n == 0 and s >= 2 ** (n + 1) for s in size)), default=0)
        way = f"take model.num_scales={most} or less" if most else "no number of halvings does"
        raise UserError(f"model.num_scales={times} of {model} does not fit images of {size[0]}x{size[1]}: {way}")
    return size[0] // 2**times, size[1] // 2**times


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight if not hasattr(module, "parametrizations") else original(module), 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def original(module: nn.Module) -> Tensor:
    """The parameter beneath a normalised weight."""
    return module.parametrizations.weight.original  # type: ignore[union-attr,return-value]
