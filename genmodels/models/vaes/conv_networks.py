"""The convolutional networks of Sylvester normalizing flows (van den Berg et al., UAI 2018, arXiv:1803.05649)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genmodels.models.vaes.networks import Networks, image_of
from genmodels.networks.gated_conv import GatedConv2d, GatedConvTranspose2d
from genmodels.ranges import at_least

Size = tuple[int, int]

_KERNEL, _PADDING = 5, 2


class ConvNetworks(Networks):
    """Gated 5x5 convolutions that halve an image twice, then one as large as what is left; and the same in reverse.

    Appendix A of the paper and its official code, of which a VAE with 64 diagonal latents on 28x28 pixels has 3,067,105
    parameters. Halves are rounded up, so that images of every size fit; the last convolution is 7x7 for 28x28. Labels
    are constant planes beside the image and numbers beside z.

    Deviation: the official code passes the variance of q through a softplus, where ours takes log sigma.

    Args:
        width: channels at full size; twice as many at a quarter of it.
        hidden_features: numbers that stand for the image before the last, linear layer of the encoder.
    Raises:
        UserError: a number is out of its range, or (when they are made) the data is not made of images.
    """

    def __init__(self, width: int = 32, hidden_features: int = 256) -> None:
        at_least(1, under="model.networks.", width=width, hidden_features=hidden_features)
        self.width, self.hidden_features = width, hidden_features

    def encoder(self, shape: Sequence[int], num_features: int, context_features: int) -> nn.Module:
        channels, size = image_of("conv", shape)
        return _Encoder(channels + context_features, self.width, size, self.hidden_features, num_features)

    def decoder(self, num_latents: int, shape: Sequence[int], context_features: int) -> nn.Module:
        channels, size = image_of("conv", shape)
        return _Decoder(num_latents + context_features, self.width, size, channels)


class _Encoder(nn.Module):
    def __init__(self, channels: int, width: int, size: Size, hidden_features: int, num_features: int) -> None:
        super().__init__()
        wide = 2 * width
        self.layers = nn.Sequential(
            GatedConv2d(channels, width, _KERNEL, 1, _PADDING),
            GatedConv2d(width, width, _KERNEL, 2, _PADDING),
            GatedConv2d(width, wide, _KERNEL, 1, _PADDING),
            GatedConv2d(wide, wide, _KERNEL, 2, _PADDING),
            GatedConv2d(wide, wide, _KERNEL, 1, _PADDING),
            GatedConv2d(wide, hidden_features, _half(_half(size))),
        )
        self.output = nn.Linear(hidden_features, num_features)

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        if context is not None:
            planes = context[:, :, None, None].expand(-1, -1, *x.shape[2:])
            x = torch.cat((x, planes), dim=1)
        return self.output(self.layers(x).flatten(1))


class _Decoder(nn.Module):
    def __init__(self, num_features: int, width: int, size: Size, channels: int) -> None:
        super().__init__()
        wide = 2 * width
        half = _half(size)
        self.layers = nn.Sequential(
            GatedConvTranspose2d(num_features, wide, _half(half)),
            GatedConvTranspose2d(wide, wide, _KERNEL, 1, _PADDING),
            GatedConvTranspose2d(wide, width, _KERNEL, 2, _PADDING, _missing(half)),
            GatedConvTranspose2d(width, width, _KERNEL, 1, _PADDING),
            GatedConvTranspose2d(width, width, _KERNEL, 2, _PADDING, _missing(size)),
            GatedConvTranspose2d(width, width, _KERNEL, 1, _PADDING),
            nn.Conv2d(width, channels, 1),
        )

    def forward(self, z: Tensor, context: Tensor | None) -> Tensor:
        z = z if context is None else torch.cat((z, context), dim=1)
        return self.layers(z[:, :, None, None])


def _half(size: Size) -> Size:
    """What a stride of two leaves."""
    return math.ceil(size[0] / 2), math.ceil(size[1] / 2)


def _missing(size: Size) -> Size:
    """What a transposed convolution from half of `size` has to add: it ends at an odd size by itself."""
    return 1 - size[0] % 2, 1 - size[1] % 2
