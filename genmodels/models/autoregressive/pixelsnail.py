"""PixelSNAIL: An Improved Autoregressive Generative Model (Chen, Mishra et al. 2018, arXiv:1712.09763)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.distributions import PixelLikelihood
from genmodels.models.autoregressive.autoregressive_model import AutoregressiveModel, Decoder, check_joint_colours
from genmodels.models.autoregressive.pixelsnail_attention import Memory
from genmodels.models.autoregressive.pixelsnail_net import AttentionBlock, FirstLayer, GatedResnet
from genmodels.models.data_checks import conditional_classes
from genmodels.networks.causal_conv import Cache
from genmodels.networks.layout import fast_layout
from genmodels.networks.weight_norm import WeightNormConv2d
from genmodels.ranges import at_least, fractions


class PixelSNAIL(AutoregressiveModel):
    """Causal convolutions for what is near, alternating with attention to everything that has been drawn.

        first layer; `num_blocks` times: `num_resnets` gated residual blocks of 2x2 convolutions, then one attention
        merged by a gated block of 1x1; elu and 1x1 to the likelihood's parameters

    Weights are normalised and initialised from data. The model is "h12_noup_smallkey" of the official code, which gave
    the paper's figures; to tell attention where a pixel is, it repeats row and column once per colour ("background"),
    kept here so that parameters agree: 46,180,788 on CIFAR-10, 46,237,548 with 32 components on ImageNet.
    Deviations from that code: no 1e-6 in the attention's denominator, which is at least 1; the labels, for which it has
    unused code, enter every gated block as in PixelCNN++.

    Args:
        shape: (C, H, W).
        likelihood: the paper's is `LogisticMixture`; for one colour any.
        num_blocks: 12 in the paper.
        num_resnets: 4 in the official code.
        width: channels, 256.
        key_width: channels of keys and queries, 16.
        value_width: channels of values; None for half the width.
        dropout: 0.5 for CIFAR-10, none for ImageNet.
        conditional: give the label to every gated block.
        num_classes: needed where `conditional`.
    Raises:
        UserError: several colours that the likelihood does not join, or a number is out of range.
    """

    background: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        likelihood: PixelLikelihood,
        num_blocks: int = 12,
        num_resnets: int = 4,
        width: int = 256,
        key_width: int = 16,
        value_width: int | None = None,
        dropout: float = 0.5,
        conditional: bool = False,
        num_classes: int | None = None,
    ) -> None:
        at_least(
            1,
            num_blocks=num_blocks,
            num_resnets=num_resnets,
            width=width,
            key_width=key_width,
            value_width=value_width,
        )
        fractions(dropout=dropout)
        value_width = max(1, width // 2) if value_width is None else value_width
        check_joint_colours(likelihood, "PixelSNAIL")
        classes = conditional_classes(conditional, num_classes)
        super().__init__(shape, likelihood, classes)
        self.register_buffer("background", _background(*shape), persistent=False)
        self.attention_widths = (key_width, value_width)
        self.first = FirstLayer(shape[0], width)
        self.blocks = nn.ModuleList(
            _Block(num_resnets, width, shape[0], key_width, value_width, dropout, classes) for _ in range(num_blocks)
        )
        self.output = WeightNormConv2d(width, likelihood.num_params)

    def conditionals(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        x, classes = self._scaled(x), self._one_hot(y)
        seen = fast_layout(torch.cat((self.background.expand(len(x), -1, -1, -1), x), dim=1))
        place = seen[:, : self.background.shape[1]]
        h = self.first(x)
        for block in self.blocks:
            h = block(h, place, seen, classes)
        return self.output(F.elu(h))

    def decoder(self, batch: int, y: Tensor | None = None) -> Decoder:
        _, height, width = self.shape
        classes, cache = self._one_hot(y), Cache(width)
        memories = [Memory(batch, height * width, *self.attention_widths, like=self.background) for _ in self.blocks]
        places = self.background.expand(batch, -1, -1, -1).flatten(2).split(1, dim=2)

        def decode(x: Tensor, row: int, column: int) -> Tensor:
            cache.row, cache.column = row, column
            x, position = self._scaled(x), row * width + column
            before = x.flatten(2)[:, :, position - 1, None]  # of no meaning, and not looked at, for the first pixel
            seen = torch.cat((places[position - 1], before), dim=1)[..., None]
            h = self.first.look(x, row, column)
            for block, memory in zip(self.blocks, memories, strict=True):
                h = block(h, places[position][..., None], seen, classes, cache, memory)
            return self.output(F.elu(h), cache).squeeze(3)

        return decode


class _Block(nn.Module):
    """Figure 2 of the paper: residual blocks, then attention."""

    def __init__(
        self,
        num_resnets: int,
        width: int,
        colours: int,
        key_width: int,
        value_width: int,
        dropout: float,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(
            GatedResnet(width, (2, 2), dropout, num_classes=num_classes) for _ in range(num_resnets)
        )
        self.attention = AttentionBlock(width, 2 * colours, colours, key_width, value_width, dropout, num_classes)

    def forward(
        self,
        h: Tensor,
        place: Tensor,
        seen: Tensor,
        classes: Tensor | None,
        cache: Cache | None = None,
        memory: Memory | None = None,
    ) -> Tensor:
        for resnet in self.resnets:
            h = resnet(h, classes=classes, cache=cache)
        return self.attention(h, place, seen, classes, cache, memory)


def _background(colours: int, height: int, width: int) -> Tensor:
    """Row and column from -0.5 to 0.5, each once per colour: [1, 2 C, H, W]."""
    rows = (torch.arange(height) / height - 0.5).view(1, 1, -1, 1).expand(1, colours, height, width)
    columns = (torch.arange(width) / width - 0.5).view(1, 1, 1, -1).expand(1, colours, height, width)
    return torch.cat((rows, columns), dim=1)
