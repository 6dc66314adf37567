"""GPT on pixels: Generative Pretraining from Pixels (Chen et al., ICML 2020), on the sub-pixels themselves."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.distributions import PixelLikelihood
from genmodels.errors import UserError
from genmodels.models.autoregressive.raster_transformer import RasterTransformer
from genmodels.models.data_checks import conditional_classes
from genmodels.networks.sequence_attention import KeyValueCache
from genmodels.networks.transformer_block import TransformerBlock
from genmodels.ranges import at_least, fractions

_DEVIATION = 0.02  # of the weights at the start


class GPT(RasterTransformer):
    """A decoder-only transformer over the colours of the pixels, each a token of its own, with full causal attention.

        h = value of the token before + row + column + colour of this one, all learned
        h = h + attention(norm(h)), h = h + MLP(norm(h)), `num_layers` times
        logits = W norm(h)

    As in GPT-2 and nanoGPT: the norm comes before the layer, a hidden width of 4 `width`, GELU, weights from N(0, 0.02)
    and those that end a residual branch from N(0, 0.02 / sqrt(2 `num_layers`)). As in Image GPT's code: no biases, a
    learned start token, a head of its own in place of the embedding transposed. Deviations from Image GPT: its tokens
    are pixels of a palette of 512 colours, so that its loss (2.0895 nats a token for iGPT-S) is no bits/dim of RGB
    images and does not compare; it has one table of positions for row and column together, a norm that does not
    centre, and x sigmoid(1.702 x) for GELU.

    Args:
        shape: (C, H, W).
        likelihood: `Categorical`, or `Bernoulli` for data of two values.
        num_layers: blocks; iGPT-S 24.
        width: of the tokens; iGPT-S 512.
        num_heads: iGPT-S 8.
        dropout: of the embedded tokens and of what is added to them; Image GPT has none.
        conditional: add an embedding of the label to the start token, which every later token looks at.
        num_classes: of the data.
    Raises:
        UserError: the likelihood joins the colours, or the sizes or the dropout are impossible.
    """

    def __init__(
        self,
        shape: Sequence[int],
        likelihood: PixelLikelihood,
        num_layers: int = 24,
        width: int = 512,
        num_heads: int = 8,
        dropout: float = 0.0,
        conditional: bool = False,
        num_classes: int | None = None,
    ) -> None:
        if likelihood.conditions_colours:
            raise UserError("model=gpt draws colour by colour: choose model/likelihood=categorical.")
        at_least(1, num_layers=num_layers, width=width, num_heads=num_heads)
        fractions(dropout=dropout)
        if width % num_heads:
            raise UserError(f"model.width={width} must be a multiple of model.num_heads={num_heads}.")
        super().__init__(shape, likelihood, conditional_classes(conditional, num_classes))
        channels, height, image_width = self.shape
        self.value = nn.Embedding(likelihood.levels, width)
        self.row = nn.Parameter(torch.empty(height, width))
        self.column = nn.Parameter(torch.empty(image_width, width))
        self.colour = nn.Parameter(torch.empty(channels, width))
        self.first = nn.Parameter(torch.empty(width))
        self.label = nn.Linear(self.num_classes, width, bias=False) if self.num_classes else None
        self.dropout = dropout
        self.blocks = nn.ModuleList(TransformerBlock(width, num_heads, 4 * width, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width, bias=False)
        self.head = nn.Linear(width, self.outputs_per_token, bias=False)
        self._initialize()

    def embed(self, x: Tensor) -> Tensor:
        return self.value(x.long().permute(0, 2, 3, 1)).flatten(1, 3)

    def start(self, batch: int, y: Tensor | None) -> Tensor:
        return self.first.expand(batch, -1) if self.label is None else self.first + self.label(self._one_hot(y))

    def positions(self) -> Tensor:
        return (self.row[:, None, None] + self.column[:, None] + self.colour).flatten(0, 2)

    def outputs(self, h: Tensor, y: Tensor | None, cache: KeyValueCache | None = None) -> Tensor:
        h = F.dropout(h, self.dropout, self.training)
        for block in self.blocks:
            h = block(h, cache)
        return self.head(self.norm(h))

    @torch.no_grad()
    def _initialize(self) -> None:
        for parameter in self.parameters():
            if parameter.dim() > 1 or parameter is self.first:
                parameter.normal_(std=_DEVIATION)
        for module in self.modules():
            if isinstance(module, TransformerBlock):
                for last in (module.attention.output, module.narrow):
                    last.weight.normal_(std=_DEVIATION / (2 * len(self.blocks)) ** 0.5)
