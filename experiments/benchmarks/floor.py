"""The convolutions of a model's coupling networks and nothing else: the time left if all the rest were free."""

from collections.abc import Iterable, Iterator, Sequence

import torch
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
