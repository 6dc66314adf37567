"""The generator of StyleGAN2, its mapping network, and its critic."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.models.gans.stylegan2_layers import (
    EqualConv,
    EqualLinear,
    Noise,
    StyledLayer,
    ToPixels,
    doubled,
    normalized,
    with_minibatch_deviation,
)

_MAPPING_RATE = 0.01  # of the learning rate, in mapping networks


class MappingNetwork(nn.Module):
    """w = f(z, y): a perceptron of the normalised z and the normalised embedding of the class.

    Shapes: z [B, Z] (None where Z = 0), y [B] (None for no classes) -> [B, width].
    """

    def __init__(self, num_latents: int, width: int, num_layers: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.embedding = EqualLinear(num_classes, width) if num_classes else None
        inputs = num_latents + (width if num_classes else 0)
        self.layers = nn.Sequential(
            *(
                EqualLinear(width if index else inputs, width, activate=True, rate=_MAPPING_RATE)
                for index in range(num_layers)
            )
        )

    def forward(self, z: Tensor | None, y: Tensor | None = None) -> Tensor:
        parts = [] if z is None else [normalized(z)]
        if self.embedding is not None and y is not None:
            labels = F.one_hot(y, self.num_classes).to(self.embedding.weight.dtype)
            parts.append(normalized(self.embedding(labels)))
        return self.layers(torch.cat(parts, dim=1))


class _Block(nn.Module):
    """One resolution: a layer at the bottom, two above it, and what they add to the image."""

    def __init__(self, inputs: int | None, width: int, channels: int, num_styles: int, side: int) -> None:
        super().__init__()
        layers = [] if inputs is None else [StyledLayer(inputs, width, num_styles, side, up=True)]
        self.layers = nn.ModuleList([*layers, StyledLayer(width, width, num_styles, side, up=False)])
        self.to_pixels = ToPixels(width, channels, num_styles)

    def forward(self, x: Tensor, image: Tensor | None, w: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Shapes: features and image of half the sides, w of these layers [B, len(layers) + 1, num_styles]."""
        for index, layer in enumerate(self.layers):
            x = layer(x, w[:, index], noise)
        pixels = self.to_pixels(x, w[:, len(self.layers)])  # the style of the next block's first layer
        return x, pixels if image is None else doubled(image) + pixels


class StyleGenerator(nn.Module):
    """An image as a sum over resolutions, each convolution with a style (Karras et al. 2020a, Figure 7b, left).

    Args:
        channels: of the image.
        sides: of the image at each resolution, from the bottom.
        widths: channels there.
        num_latents, num_styles: lengths of z and w.
        mapping_layers: of the mapping network.
        num_classes: 0 for none.
        mixing: probability that a training batch takes the styles above a random layer from other latents.
        average_decay: of the moving average of w in training.
    Shapes: z [B, Z], y [B] -> [B, C, H, W], not bounded.
    """

    average: Tensor

    def __init__(
        self,
        channels: int,
        sides: Sequence[int],
        widths: Sequence[int],
        num_latents: int,
        num_styles: int,
        mapping_layers: int,
        num_classes: int,
        mixing: float,
        average_decay: float,
    ) -> None:
        super().__init__()
        self.mixing, self.average_decay = mixing, average_decay
        self.mapping = MappingNetwork(num_latents, num_styles, mapping_layers, num_classes)
        self.register_buffer("average", torch.zeros(num_styles))
        self.constant = nn.Parameter(torch.randn(widths[0], sides[0], sides[0]))
        below: list[int | None] = [None, *widths]
        self.blocks = nn.ModuleList(
            _Block(inputs, width, channels, num_styles, side)
            for inputs, width, side in zip(below, widths, sides, strict=False)
        )
        self.num_layers = 2 * len(sides)  # convolutions, and the last one to pixels

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.synthesize(self.styles(z, y))

    def styles(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """w for each layer. Shapes: z [B, Z], y [B] -> [B, num_layers, num_styles]."""
        w = self.mapping(z, y)
        if self.training:
            self.average.lerp_(w.detach().mean(dim=0).to(self.average), 1 - self.average_decay)
        layers = w[:, None].expand(-1, self.num_layers, -1)
        if self.training and torch.rand(()).item() < self.mixing:
            return self._mixed(layers, torch.randn_like(z), y)
        return layers

    def synthesize(self, w: Tensor, noise: Noise = "random") -> Tensor:
        """Shapes: [B, num_layers, num_styles] -> [B, C, H, W]."""
        bottom, *others = self.blocks
        x, image = bottom(self.constant.expand(len(w), -1, -1, -1), None, w, noise)
        for number, block in enumerate(others):
            x, image = block(x, image, w[:, 2 * number + 1 :], noise)
        return image

    def _mixed(self, layers: Tensor, z: Tensor, y: Tensor | None) -> Tensor:
        cut = int(torch.randint(1, self.num_layers, ()))
        others = self.mapping(z, y)[:, None].expand(-1, self.num_layers - cut, -1)
        return torch.cat((layers[:, :cut], others), dim=1)


class StyleCritic(nn.Module):
    """Convolutions that halve the image, the deviation over the batch, and a projection on the class if there is one.

        D(x, y) = <h(x), m(y)> / sqrt(D)

    Args:
        channels: of the image.
        sides: of the image at each resolution, from the bottom.
        widths: channels there.
        num_classes: 0 for none.
        mapping_layers: of m, a mapping network of the class alone.
        group: images whose deviation is taken.
    Shapes: x [B, C, H, W], y [B] -> [B].
    """

    def __init__(
        self,
        channels: int,
        sides: Sequence[int],
        widths: Sequence[int],
        num_classes: int,
        mapping_layers: int,
        group: int,
    ) -> None:
        super().__init__()
        bottom, self.group = widths[0], group
        self.from_pixels = EqualConv(channels, widths[-1], kernel=1)
        downwards = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.blocks = nn.Sequential(
            *(nn.Sequential(EqualConv(width, width), EqualConv(width, below, down=True)) for width, below in downwards)
        )
        self.conv = EqualConv(bottom + 1, bottom)
        self.hidden = EqualLinear(bottom * sides[0] ** 2, bottom, activate=True)
        self.output = EqualLinear(bottom, bottom if num_classes else 1)
        self.mapping = MappingNetwork(0, bottom, mapping_layers, num_classes) if num_classes else None

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h = with_minibatch_deviation(self.blocks(self.from_pixels(x)), self.group)
        scores = self.output(self.hidden(self.conv(h).flatten(1)))
        if self.mapping is None:
            return scores[:, 0]
        return (scores * self.mapping(None, y)).sum(dim=1) / scores.shape[1] ** 0.5
