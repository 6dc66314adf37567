"""The networks of Flow++: gated convolutions and gated self-attention (Ho et al. 2019, Section 3.3).

All of it works on pixels, [B, H, W, C]: layer norm, 1x1 convolutions and attention run over the last dimension, and
3x3 convolutions see the same memory as channels-last images.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.networks.data_init import DataInitialized, standardization

Attention = Literal["self", "pointwise", "none"]


def concat_elu(x: Tensor) -> Tensor:
    """elu of (x, -x). Shapes: [..., C] -> [..., 2C]."""
    return F.elu(torch.cat((x, -x), dim=-1), inplace=True)


class ScaledConv(DataInitialized):
    """A 'same' convolution, scaled and shifted so that each output channel of the first batch is standardised.

    Weights start as N(0, 0.05); the first batch leaves with mean 0 and deviation `init_scale` (official code,
    `conv2d` and `dense`).

    Shapes: [B, H, W, in_channels] -> [B, H, W, out_channels].
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, init_scale: float = 1.0) -> None:
        super().__init__()
        self.init_scale = init_scale
        self.weight = nn.Parameter(0.05 * torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        if self.is_pending:
            self._initialize_from(x)
        return self._convolve(x, self.bias)

    def _convolve(self, x: Tensor, bias: Tensor | None) -> Tensor:
        size = self.weight.shape[-1]
        if size == 1:
            return F.linear(x, self.weight[:, :, 0, 0], bias)
        return F.conv2d(x.permute(0, 3, 1, 2), self.weight, bias, padding=size // 2).permute(0, 2, 3, 1)

    def _initialize_from(self, x: Tensor) -> None:
        shift, log_scale = standardization(self._convolve(x, None).permute(0, 3, 1, 2))
        scale = self.init_scale * log_scale.exp()
        self.weight.mul_(scale.view(-1, 1, 1, 1))
        self.bias.copy_(shift * scale)
        self._done()


class GatedConv(nn.Module):
    """x + a * sigmoid(b), (a, b) = conv(dropout(f(conv(f(x)) + W context))), f = concat_elu.

    Args:
        context_channels: of the optional context, to which the caller has applied concat_elu; 0 for none.
        kernel_size: of the second convolution; the first is 3x3.
    Shapes: x [B, H, W, width], context [B, H, W, context_channels] -> [B, H, W, width].
    """

    def __init__(self, width: int, dropout: float, context_channels: int = 0, kernel_size: int = 1) -> None:
        super().__init__()
        self.first = ScaledConv(2 * width, width, 3)
        self.from_context = ScaledConv(context_channels, width, 1) if context_channels else None
        self.dropout = nn.Dropout(dropout)
        self.second = ScaledConv(2 * width, 2 * width, kernel_size, init_scale=0.1)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h = self.first(concat_elu(x))
        if self.from_context is not None:
            h = h + self.from_context(context)
        return x + F.glu(self.second(self.dropout(concat_elu(h))), dim=-1)


class GatedAttention(nn.Module):
    """x + a * sigmoid(b), (a, b) = W attention(x + position): every pixel looks at every other one.

    Args:
        heads: number of heads; divides `width`.
        pointwise: the paper's ablation, a maximum over three channels in place of query, key and value: as many
            parameters, and no pixel sees another.
    Shapes: x [B, H, W, width], position [H, W, width] -> [B, H, W, width].
    Raises:
        ValueError: heads that do not divide the width.
    """

    def __init__(self, width: int, heads: int, dropout: float, *, pointwise: bool = False) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width={width} must be a multiple of the number of attention heads, {heads}")
        self.heads = heads
        self.pointwise = pointwise
        self.first = ScaledConv(width, 3 * width, 1)
        self.dropout = nn.Dropout(dropout)
        self.second = ScaledConv(width, 2 * width, 1, init_scale=0.1)

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        h = self.first(x + position)
        h = h.unflatten(-1, (-1, 3)).amax(dim=-1) if self.pointwise else self._attend(h)
        return x + F.glu(self.second(self.dropout(h)), dim=-1)

    def _attend(self, h: Tensor) -> Tensor:
        """Multi-head attention among the pixels. Shapes: [B, H, W, 3 width] -> [B, H, W, width]."""
        batch, height, width, _ = h.shape
        query, key, value = h.reshape(batch, height * width, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(query, key, value)
        return attended.transpose(1, 2).reshape(batch, height, width, -1)


class FlowPPBlock(nn.Module):
    """Gated convolution, layer norm, gated attention, layer norm; with attention "none" the first two only."""

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float,
        attention: Attention,
        context_channels: int = 0,
        kernel_size: int = 1,
    ) -> None:
        super().__init__()
        self.conv = GatedConv(width, dropout, context_channels, kernel_size)
        self.conv_norm = nn.LayerNorm(width)
        self.attention = None
        if attention != "none":
            self.attention = GatedAttention(width, heads, dropout, pointwise=attention == "pointwise")
            self.attention_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, position: Tensor | None, context: Tensor | None = None) -> Tensor:
        x = self.conv_norm(self.conv(x, context))
        return x if self.attention is None else self.attention_norm(self.attention(x, position))


def _position_embedding(size: tuple[int, int], width: int, attention: Attention) -> nn.Parameter | None:
    return None if attention == "none" else nn.Parameter(0.01 * torch.randn(*size, width))


class FlowPPNet(nn.Module):
    """3x3 convolution -> blocks -> 3x3 convolution, whose outputs start with mean 0 and deviation 0.1.

    Args:
        size: (H, W) of the images, for the learned position embedding that all blocks share.
        width: channels of the blocks.
        attention: "self", "pointwise" (the paper's ablation) or "none".
        context_channels: see `GatedConv`.
        activate_output: concat_elu before the last convolution, as in the official ImageNet models.
    Shapes: x [B, in_channels, H, W], context [B, H, W, context_channels] or None -> [B, out_channels, H, W].
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: tuple[int, int],
        width: int,
        num_blocks: int,
        heads: int = 4,
        dropout: float = 0.0,
        attention: Attention = "self",
        context_channels: int = 0,
        activate_output: bool = False,
    ) -> None:
        super().__init__()
        self.position = _position_embedding(size, width, attention)
        self.activate_output = activate_output
        self.first = ScaledConv(in_channels, width, 3)
        self.blocks = nn.ModuleList(
            FlowPPBlock(width, heads, dropout, attention, context_channels) for _ in range(num_blocks)
        )
        self.last = ScaledConv((1 + activate_output) * width, out_channels, 3, init_scale=0.1)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h = self.first(x.permute(0, 2, 3, 1))
        for block in self.blocks:
            h = block(h, self.position, context)
        return self.last(concat_elu(h) if self.activate_output else h).permute(0, 3, 1, 2)


class ContextNet(nn.Module):
    """What the dequantisation flow knows of the image: its even and odd columns through gated 3x3 convolutions.

    Args:
        shape: (C, H, W) of the image.
        width: channels inside.
        attention: of each block; None for the CIFAR-10 model's bare gated convolutions, without layer norm either.
    Shapes: image [B, C, H, W] -> [B, H, W/2, 2 width], concat_elu applied.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        width: int,
        num_blocks: int,
        heads: int = 4,
        dropout: float = 0.0,
        attention: Attention | None = None,
    ) -> None:
        super().__init__()
        channels, height, image_width = shape
        self.first = ScaledConv(2 * channels, width, 3)
        self.position = _position_embedding((height, image_width // 2), width, attention or "none")
        blocks = [
            GatedConv(width, dropout, kernel_size=3)
            if attention is None
            else FlowPPBlock(width, heads, dropout, attention, kernel_size=3)
            for _ in range(num_blocks)
        ]
        self.blocks = nn.ModuleList(blocks)

    def forward(self, image: Tensor) -> Tensor:
        columns = torch.cat((image[..., ::2], image[..., 1::2]), dim=1)
        h = self.first(columns.permute(0, 2, 3, 1))
        for block in self.blocks:
            h = block(h) if isinstance(block, GatedConv) else block(h, self.position)
        return concat_elu(h)
