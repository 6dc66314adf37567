"""Convolutions with the normalisations and initialisations that flow papers put around them."""

from dataclasses import dataclass, field
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.networks.data_init import DataInitialized, standardization
from genmodels.networks.eval_cache import CachesInEval


class EdgeAwareConv2d(nn.Module):
    """A 'same' convolution whose padding can be told from black pixels by an extra input channel.

    The official Glow code pads, then appends a plane that is 1 on the padding and 0 inside, to every convolution
    larger than 1x1. The plane does not depend on the input, so its response is computed once for the whole batch and
    added: a bias that depends on the position.

    Args:
        kernel_size: odd.
        edge: whether the extra channel exists (its weights are `edge_weight`).
    Shapes: [B, in_channels, H, W] -> [B, out_channels, H, W].
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, edge: bool = False) -> None:
        super().__init__()
        self.padding = kernel_size // 2
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        has_edge = edge and kernel_size > 1
        self.edge_weight = nn.Parameter(torch.empty(out_channels, 1, kernel_size, kernel_size)) if has_edge else None

    def kernel(self, scale: Tensor | None = None, bias: Tensor | None = None) -> "Kernel":
        """That of conv(x) * scale + bias, with `scale` and `bias` [out_channels].

        Folding costs one pass over the weights instead of a pass over the activations, forward and backward.
        """
        if scale is None:
            return Kernel(self.weight, bias, self.edge_weight)
        factor = scale.view(-1, 1, 1, 1)
        edge_weight = None if self.edge_weight is None else self.edge_weight * factor
        return Kernel(self.weight * factor, bias, edge_weight)

    def convolve(self, x: Tensor, kernel: "Kernel") -> Tensor:
        """`kernel` on x."""
        out = F.conv2d(x, kernel.weight, kernel.bias, padding=self.padding)
        if kernel.edge_weight is None:
            return out
        last = out.is_contiguous(memory_format=torch.channels_last)
        layout = (out.shape[2], out.shape[3], last)
        if layout not in kernel.edges:
            kernel.edges[layout] = _edges(kernel.edge_weight, out, last)
        edges = kernel.edges[layout]
        if last and edges.requires_grad:
            edges = _for_each(out, edges)
        return out.add_(edges)


def _edges(weight: Tensor, out: Tensor, last: bool) -> Tensor:
    """The response to the edge channel at every pixel, [C, H, W] in the layout of `out`: two layouts add slowly."""
    channels, _, kernel_size, _ = weight.shape
    height, width = out.shape[2:]
    outside = _taps_outside(kernel_size, height, width, out.dtype, out.device)
    taps = weight.flatten(1)
    if last:
        return (outside.T @ taps.T).view(height, width, channels).permute(2, 0, 1)
    return (taps @ outside).view(channels, height, width)


def _for_each(out: Tensor, edges: Tensor) -> Tensor:
    """`edges` once for each image, as a product, whose gradient is one too.

    The sum over the batch that would else be its gradient is up to 25 times slower where channels come last.
    """
    batch, channels, height, width = out.shape
    repeated = out.new_ones(batch, 1) @ edges.permute(1, 2, 0).reshape(1, -1)
    return repeated.view(batch, height, width, channels).permute(0, 3, 1, 2)


@lru_cache(maxsize=64)
def _taps_outside(kernel_size: int, height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """1 where a tap of the kernel meets the padding, else 0, [kernel_size^2, height * width]."""
    with torch.inference_mode(False):  # kept beyond a validation, for training
        inside = torch.zeros(1, 1, height, width, dtype=dtype, device=device)
        return F.unfold(F.pad(inside, [kernel_size // 2] * 4, value=1.0), kernel_size)[0]


@dataclass(frozen=True)
class Kernel:
    """What an `EdgeAwareConv2d` convolves with; the response to its edge channel is kept for every layout."""

    weight: Tensor
    bias: Tensor | None
    edge_weight: Tensor | None
    edges: dict[tuple[int, int, bool], Tensor] = field(default_factory=dict)


class ScaledConv2d(CachesInEval):
    """(conv(x) + b) * exp(3 logs), the convolution of Glow's official code; what is folded is kept in `eval()`."""

    LOG_SCALE_FACTOR = 3.0

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, edge: bool = False) -> None:
        super().__init__()
        self.conv = EdgeAwareConv2d(in_channels, out_channels, kernel_size, edge)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.logs = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv.convolve(x, self.cached(self._folded, self.bias, self.logs, *self.conv.parameters()))

    def _folded(self) -> Kernel:
        scale = torch.exp(self.LOG_SCALE_FACTOR * self.logs)
        return self.conv.kernel(scale, self.bias * scale)


class ActNormConv2d(ScaledConv2d, DataInitialized):
    """Convolution without bias, then actnorm: (conv(x) + b) * exp(3 logs).

    The hidden layers of Glow's coupling network (official code, `tfops.conv2d`): weights N(0, 0.05), actnorm set from
    the first batch so that each channel of the output has mean 0 and variance 1.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, edge: bool = False) -> None:
        super().__init__(in_channels, out_channels, kernel_size, edge)
        for weight in self.conv.parameters():
            nn.init.normal_(weight, std=0.05)

    def forward(self, x: Tensor) -> Tensor:
        if self.is_pending:
            bias, log_scale = standardization(self.conv.convolve(x, self.conv.kernel()))
            self.bias.copy_(bias)
            self.logs.copy_(log_scale / self.LOG_SCALE_FACTOR)
            self._done()
        return super().forward(x)


class ZeroConv2d(ScaledConv2d):
    """3x3 convolution that starts at zero: (conv(x) + b) * exp(3 logs), everything 0 at first.

    Kingma & Dhariwal 2018, Section 3.3 and official code (`conv2d_zeros`): the coupling starts as a constant map, and
    the log-scale lets the last layer grow faster than its learning rate would. Unconditional: `context` is not used.
    """

    def __init__(self, in_channels: int, out_channels: int, edge: bool = False) -> None:
        super().__init__(in_channels, out_channels, kernel_size=3, edge=edge)
        for weight in self.conv.parameters():
            nn.init.zeros_(weight)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(x)


class NormalizedConv2d(nn.Module):
    """'Same' convolution with weight normalisation (Salimans & Kingma 2016) as the official RealNVP code has it.

    Each output channel's kernel is divided by its norm; a learned `magnitude` multiplies it only where asked, because
    a batch norm that follows would undo it.

    Args:
        magnitude: whether the norm is learned; initialised to half the expected norm of the initial kernel, as in
            the official code.
    Shapes: [B, in_channels, H, W] -> [B, out_channels, H, W].
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, magnitude: bool, bias: bool = True
    ) -> None:
        super().__init__()
        bound = (2.0 / in_channels) ** 0.5
        self.direction = nn.Parameter(
            torch.empty(out_channels, in_channels, kernel_size, kernel_size).uniform_(-bound, bound)
        )
        norm = bound * (in_channels * kernel_size**2 / 12.0) ** 0.5
        self.magnitude = nn.Parameter(torch.full((out_channels,), norm)) if magnitude else None
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.padding = kernel_size // 2

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.linalg.vector_norm(self.direction, dim=(1, 2, 3), keepdim=True).reciprocal()
        if self.magnitude is not None:
            scale = scale * self.magnitude[:, None, None, None]
        return F.conv2d(x, self.direction * scale, self.bias, padding=self.padding)
