"""Image Transformer (Parmar, Vaswani, Uszkoreit, Kaiser, Shazeer, Ku & Tran, ICML 2018, arXiv:1802.05751)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.distributions import PixelLikelihood
from genmodels.errors import UserError
from genmodels.models.autoregressive.raster_transformer import RasterTransformer
from genmodels.models.data_checks import conditional_classes
from genmodels.networks.sequence_attention import CausalSelfAttention, KeyValueCache
from genmodels.ranges import at_least, fractions

_GAIN = 0.2  # the official initializer_gain
_SLOWEST = 1e-4  # of the sinusoids, radians a place; the fastest is 1


class ImageTransformer(RasterTransformer):
    """A decoder-only transformer whose attention is local: a token looks at its block and the one before it.

        h = dropout(the token before + position)
        h = norm(h + dropout(attention(h))), h = norm(h + dropout(W2 relu(W1 h))), `num_layers` times
        parameters of the likelihood = W h

    "Local 1D" attention over the image in raster order, read in the official code (tensor2tensor); which of its two
    best configurations this is follows from the likelihood and the sizes:

        Categorical      a token is a colour of a pixel, looked up in a table with an entry for each value and colour;
                         positions are sinusoids of row and of column times colour (`image_transformer.yaml`)
        LogisticMixture  a token is a pixel, relu(W rgb + b); with learned positions

    Weights start uniform with variance 0.2 / (mean of inputs and outputs), attention has no biases, and before the
    first token there is nought. A sequence of up to two blocks is attended to in full. Deviation: the official code
    starts the W of rgb at a third of that variance. The paper's local attention in 2D, its encoder and super-resolution
    are not here.

    Args:
        shape: (C, H, W).
        likelihood: `Categorical` ("CAT"), `LogisticMixture` ("DMOL"), or `Bernoulli` for data of two values.
        num_layers: 12.
        width: of the tokens; CAT 512, DMOL 256.
        hidden: of the two-layer networks; CAT 2048, DMOL 512.
        num_heads: CAT 4, DMOL 8.
        attention_channels: of queries, keys and values, all heads together; None for `width`, DMOL 512.
        block_length: 256 tokens.
        learned_positions: in place of sinusoids; DMOL.
        dropout: CIFAR-10 CAT 0.3, DMOL 0.1; ImageNet 0.1.
        conditional: add an embedding of the label to every token.
        num_classes: of the data.
    Raises:
        UserError: the sizes or the dropout are impossible.
    """

    sinusoids: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        likelihood: PixelLikelihood,
        num_layers: int = 12,
        width: int = 512,
        hidden: int = 2048,
        num_heads: int = 4,
        attention_channels: int | None = None,
        block_length: int = 256,
        learned_positions: bool = False,
        dropout: float = 0.3,
        conditional: bool = False,
        num_classes: int | None = None,
    ) -> None:
        at_least(
            1,
            num_layers=num_layers,
            width=width,
            hidden=hidden,
            num_heads=num_heads,
            attention_channels=attention_channels,
            block_length=block_length,
        )
        fractions(dropout=dropout)
        channels = attention_channels or width
        if channels % num_heads:
            raise UserError(
                f"model.attention_channels={channels} (null: model.width) must be a multiple of "
                f"model.num_heads={num_heads}."
            )
        super().__init__(shape, likelihood, conditional_classes(conditional, num_classes))
        self.width = width
        self.learned_positions = learned_positions
        places = (self.shape[1], self.shape[2] * self.tokens_per_pixel)
        if likelihood.conditions_colours:
            self.of_pixel = nn.Linear(self.shape[0], width)
        else:
            self.of_value = nn.Parameter(torch.empty(self.shape[0] * likelihood.levels, width))
        if learned_positions:
            self.row, self.column = (nn.Parameter(torch.empty(n, width)) for n in places)
        else:
            self.register_buffer("sinusoids", _sinusoids(*places, width), persistent=False)
        self.label = nn.Linear(self.num_classes, width, bias=False) if self.num_classes else None
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            _Block(width, hidden, num_heads, channels, block_length, dropout) for _ in range(num_layers)
        )
        self.head = nn.Linear(width, self.outputs_per_token, bias=not likelihood.conditions_colours)
        self._initialize()

    def embed(self, x: Tensor) -> Tensor:
        if self.likelihood.conditions_colours:
            return F.relu(self.of_pixel(self._scaled(x).permute(0, 2, 3, 1))).flatten(1, 2)
        first_of_colour = torch.arange(self.shape[0], device=x.device) * self.levels
        return (
            F.embedding(x.long().permute(0, 2, 3, 1) + first_of_colour, self.of_value).flatten(1, 3) * self.width**0.5
        )

    def start(self, batch: int, y: Tensor | None) -> Tensor:
        return self.head.weight.new_zeros(batch, self.width)

    def positions(self) -> Tensor:
        if not self.learned_positions:
            return self.sinusoids
        return (self.row[:, None] + self.column).flatten(0, 1) * self.width**0.5

    def outputs(self, h: Tensor, y: Tensor | None, cache: KeyValueCache | None = None) -> Tensor:
        if self.label is not None:
            label = self.label(self._one_hot(y))
            h = h + (label[:, None] if cache is None else label)
        h = self.dropout(h)
        for block in self.blocks:
            h = block(h, cache)
        return self.head(h)

    @torch.no_grad()
    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                _unit_scaling(module.weight)
                if module.bias is not None:
                    module.bias.zero_()
        for module in self.modules():
            if isinstance(module, CausalSelfAttention):
                for weight in module.query_key_value.weight.chunk(3):
                    _unit_scaling(weight)
        if not self.likelihood.conditions_colours:
            _unit_scaling(self.of_value)
        if self.learned_positions:
            for table in (self.row, self.column):
                table.normal_(std=self.width**-0.5)


class _Block(nn.Module):
    """Figure 1 without its upper right part; the norms follow the layers (tensor2tensor's postprocessing "dan")."""

    def __init__(
        self, width: int, hidden: int, num_heads: int, channels: int, block_length: int, dropout: float
    ) -> None:
        super().__init__()
        self.attention = CausalSelfAttention(width, num_heads, channels, block_length)
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)
        self.mlp_norm = nn.LayerNorm(width, eps=1e-6)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor, cache: KeyValueCache | None) -> Tensor:
        h = self.attention_norm(h + self.dropout(self.attention(h, cache)))
        return self.mlp_norm(h + self.dropout(self.narrow(F.relu(self.widen(h)))))


def _unit_scaling(weight: Tensor) -> None:
    """Uniform with variance _GAIN / (mean of inputs and outputs), the official "uniform_unit_scaling"."""
    bound = (3 * _GAIN / (sum(weight.shape) / 2)) ** 0.5
    weight.uniform_(-bound, bound)


def _sinusoids(height: int, image_width: int, width: int) -> Tensor:
    """Sine and cosine of the row at width / 4 frequencies, then of the column: [height * image_width, width]."""
    count = width // 4
    frequencies = _SLOWEST ** (torch.arange(count) / max(1, count - 1))
    table = torch.zeros(height, image_width, width)
    for first, places in ((0, torch.arange(height)[:, None]), (2 * count, torch.arange(image_width))):
        angles = places[..., None] * frequencies
        table[..., first : first + 2 * count] = torch.cat((angles.sin(), angles.cos()), dim=-1)
    return table.flatten(0, 1)
