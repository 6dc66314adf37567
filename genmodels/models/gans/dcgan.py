"""DCGAN: Unsupervised Representation Learning with Deep Convolutional GANs (Radford, Metz & Chintala, ICLR 2016)."""

import itertools
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from genmodels.models.data_checks import image_shape
from genmodels.models.gans.adversarial_model import AdversarialModel
from genmodels.models.scales import doublings_for
from genmodels.networks.layout import fast_layout
from genmodels.networks.spectral import normalize_spectrally
from genmodels.ranges import at_least


class DCGAN(AdversarialModel):
    """A ladder of strided 4x4 convolutions, up in the generator and down in the critic, doubling and halving the side.

    Batch norm in both but for the generator's output and the critic's input and output, ReLU and tanh in the generator,
    leaky ReLU (0.2) in the critic, weights from N(0, 0.02) and batch norm's gains from N(1, 0.02) (Section 3; the gains
    are those of the official torch code). On 3x64x64 width 64 gives the networks of that code, with 3,576,704 and
    2,765,568 parameters; Figure 1 shows twice as many channels, width 128. On 32x32 width 128 has 512 channels at 4x4,
    as later code for CIFAR-10.

    Deviations: 4x4 kernels as in the torch code, where Figure 1 shows 5x5; z is normal unless asked for, where the
    paper draws it uniformly.

    Args:
        shape: (C, H, W).
        levels: number of pixel values.
        width: channels at half of the full size; twice as many at each further halving.
        num_latents: Z.
        num_scales: halvings; None for a smallest map of 4x4 or little more, fewer where the sides cannot be halved so
            often.
        spectral_norm: of the critic's layers, which then have no batch norm.
        critic_norm: batch norm between the critic's layers, or none (as a gradient penalty needs it), and then biases.
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
        num_scales: int | None = None,
        spectral_norm: bool = False,
        critic_norm: Literal["batch", "none"] = "batch",
        latent: Literal["normal", "uniform"] = "normal",
    ) -> None:
        at_least(1, width=width, num_latents=num_latents, num_scales=num_scales)
        channels, height, side = image_shape("dcgan", shape)
        scales = doublings_for("dcgan", shape, num_scales)
        smallest = height // 2**scales, side // 2**scales
        widths = [width * 2**i for i in range(scales)]
        generator = _Generator(num_latents, channels, smallest, widths[::-1])
        discriminator = _Discriminator(channels, smallest, widths, critic_norm == "batch" and not spectral_norm)
        for part in (*generator.modules(), *discriminator.modules()):
            _initialize(part)
        if spectral_norm:
            normalize_spectrally(discriminator)
        super().__init__(generator, discriminator, shape, levels, num_latents, latent=latent)
        self.chosen = {"num_scales": scales} if num_scales is None else {}


class _Generator(nn.Module):
    """Shapes: z [B, Z] -> [B, C, H, W] from -1 to 1."""

    def __init__(self, num_latents: int, channels: int, smallest: tuple[int, int], widths: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ConvTranspose2d(num_latents, widths[0], smallest, bias=False)]
        for above, below in itertools.pairwise(widths):
            layers += [nn.BatchNorm2d(above), nn.ReLU(inplace=True)]
            layers.append(nn.ConvTranspose2d(above, below, 4, 2, 1, bias=False))
        layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True)]
        layers.append(nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False))
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.layers(fast_layout(z[:, :, None, None])).tanh()


class _Discriminator(nn.Module):
    """Shapes: [B, C, H, W] -> [B]."""

    def __init__(self, channels: int, smallest: tuple[int, int], widths: Sequence[int], normed: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index, (before, width) in enumerate(itertools.pairwise((channels, *widths))):
            layers.append(nn.Conv2d(before, width, 4, 2, 1, bias=not normed))
            if normed and index:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        layers.append(nn.Conv2d(widths[-1], 1, smallest, bias=not normed))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.layers(fast_layout(x)).flatten()


def _initialize(part: nn.Module) -> None:
    if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(part.weight, 0.0, 0.02)
    elif isinstance(part, nn.BatchNorm2d):
        nn.init.normal_(part.weight, 1.0, 0.02)
