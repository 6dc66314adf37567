"""The convolutions (and attention) of a model's coupling networks and nothing else: what is left were the rest free."""

from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Layer = tuple[int, int, int]  # input channels, output channels, kernel size


class BareConvolutions(nn.Module):
    """Every coupling network reduced to its convolutions in a row, each network on random input of its own.

    Args:
        networks: for each coupling the layers and the side of its square images.
        batch: images in a batch.
    """

    def __init__(self, networks: Iterable[tuple[Sequence[Layer], int]], batch: int) -> None:
        super().__init__()
        self.networks = nn.ModuleList()
        self.inputs: list[Tensor] = []
        self.output_gradients: list[Tensor] = []
        for layers, side in networks:
            self.networks.append(nn.Sequential(*(nn.Conv2d(i, o, k, padding=k // 2) for i, o, k in layers)))
            self.inputs.append(torch.randn(batch, layers[0][0], side, side, requires_grad=True))
            self.output_gradients.append(torch.randn(batch, layers[-1][1], side, side))

    def forward(self) -> list[Tensor]:
        """One output for each network."""
        return [network(x) for network, x in zip(self.networks, self.inputs, strict=True)]

    def forward_and_backward(self) -> tuple[Tensor, ...]:
        """Gradients for all inputs and weights: in a flow, what comes before a coupling is learned too."""
        return torch.autograd.grad(self(), [*self.inputs, *self.parameters()], self.output_gradients)


def glow_networks(
    shape: tuple[int, int, int], num_scales: int, num_steps: int, width: int
) -> Iterator[tuple[list[Layer], int]]:
    """3x3, 1x1, 3x3 for each step: half the channels in, a shift and a scale for the other half out."""
    channels, side, _ = shape
    for _ in range(num_scales):
        channels, side = 4 * channels, side // 2
        layers = [(channels // 2, width, 3), (width, width, 1), (width, channels, 3)]
        yield from [(layers, side)] * num_steps
        channels //= 2


def realnvp_networks(
    shape: tuple[int, int, int], num_scales: int, width: int, num_blocks: int
) -> Iterator[tuple[list[Layer], int]]:
    """The residual networks of the checkerboard couplings and of the channel couplings of each scale."""
    channels, side, _ = shape
    for remaining in range(num_scales, 0, -1):
        # Checkerboard: (x, -x, mask) in, a shift and a scale for every channel out.
        board = _residual_layers(2 * channels + 1, 2 * channels, width, num_blocks)
        yield from [(board, side)] * (4 if remaining == 1 else 3)
        if remaining > 1:
            channelwise = _residual_layers(4 * channels, 4 * channels, 2 * width, num_blocks)
            yield from [(channelwise, side // 2)] * 3
        channels, side, width = 2 * channels, side // 2, 2 * width


def _residual_layers(inputs: int, outputs: int, width: int, num_blocks: int) -> list[Layer]:
    block = [(width, width, 3), (width, width, 3), (width, width, 1)]
    return [(inputs, width, 3), (width, width, 1), *(block * num_blocks), (width, outputs, 1)]


class _Attention(nn.Module):
    """Of one tensor [3, B, heads, pixels, D]: queries, keys and values."""

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(*x.unbind(0))


class BareFlowPP(nn.Module):
    """Every convolution and attention of Flow++'s couplings, each on random input of its own.

    1x1 convolutions are matrix products over pixels and 3x3 ones run in channels-last layout: the fastest on CPU.

    Args:
        layout: as of the model; of its entries "<n> columns", "<n> channels" and "squeeze".
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        batch: int,
        layout: Sequence[str],
        width: int,
        num_blocks: int,
        num_components: int,
        heads: int,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        self.inputs: list[Tensor] = []
        channels, height, image_width = shape
        for entry in layout:
            if entry == "squeeze":
                channels, height, image_width = 4 * channels, height // 2, image_width // 2
                continue
            number, _, kind = entry.partition(" ")
            half, columns = (channels, image_width // 2) if kind == "columns" else (channels // 2, image_width)
            image = (batch, height, columns)
            attention = (3, batch, heads, height * columns, width // heads)
            for _ in range(int(number)):
                self._add_conv(half, width, image)
                for _ in range(num_blocks):
                    self._add_conv(2 * width, width, image)
                    self._add(nn.Linear(2 * width, 2 * width), torch.randn(*image, 2 * width))
                    self._add(nn.Linear(width, 3 * width), torch.randn(*image, width))
                    self._add(_Attention(), torch.randn(attention))
                    self._add(nn.Linear(width, 2 * width), torch.randn(*image, width))
                self._add_conv(width, (2 + 3 * num_components) * half, image)
        with torch.no_grad():
            self.output_gradients = [torch.randn_like(output) for output in self()]

    def _add_conv(self, inputs: int, outputs: int, image: tuple[int, int, int]) -> None:
        self._add(nn.Conv2d(inputs, outputs, 3, padding=1), torch.randn(*image, inputs).permute(0, 3, 1, 2))

    def _add(self, layer: nn.Module, x: Tensor) -> None:
        self.layers.append(layer)
        self.inputs.append(x.requires_grad_())

    def forward(self) -> list[Tensor]:
        """One output for each layer."""
        return [layer(x) for layer, x in zip(self.layers, self.inputs, strict=True)]

    def forward_and_backward(self) -> tuple[Tensor, ...]:
        """Gradients for all inputs and weights."""
        return torch.autograd.grad(self(), [*self.inputs, *self.parameters()], self.output_gradients)
