"""A transformer as the network of an autoregressive flow over tokens (Zhai et al. 2024, TARFlow)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.networks.autoregressive_net import AutoregressiveNet
from genmodels.networks.sequence_attention import KeyValueCache
from genmodels.networks.transformer_block import TransformerBlock

_DEVIATION = 0.01  # of the embeddings at the start


class CausalTransformer(AutoregressiveNet):
    """The parameters of each token, from the tokens before it.

        h_t = W x_t + position_t (+ E context), then `num_layers` blocks, then the output layer

    Its output at place t is of token t + 1; the first token's parameters are 0. The `MetaBlock` of the official code:
    weights of the output layer are 0 at the start, its biases not, and no norm stands in front of it.

    Args:
        num_tokens: T, 2 or more.
        features: F, numbers in a token.
        outputs_per_feature: P, parameters for each of them.
        width: of the embedded tokens.
        num_layers: blocks.
        num_heads: of each block's attention, divides the width.
        expansion: hidden units of a block's MLP, in widths.
        context_features: E; 0 for a network without context.
    Shapes: x [B, T, F], context [B, E] or None -> h [B, P * T, F]; of one token [B, P, F].
    """

    def __init__(
        self,
        num_tokens: int,
        features: int,
        outputs_per_feature: int,
        width: int,
        num_layers: int,
        num_heads: int,
        expansion: int = 4,
        context_features: int = 0,
    ) -> None:
        super().__init__()
        self.num_steps = num_tokens
        self.outputs_per_feature = outputs_per_feature
        self.embedding = nn.Linear(features, width)
        self.positions = nn.Parameter(_DEVIATION * torch.randn(num_tokens, width))
        self.of_context: nn.Linear | None = None
        if context_features:
            self.of_context = nn.Linear(context_features, width, bias=False)
            nn.init.normal_(self.of_context.weight, std=_DEVIATION)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, num_heads, expansion * width, bias=True) for _ in range(num_layers)
        )
        self.outputs = nn.Linear(width, outputs_per_feature * features)
        nn.init.zeros_(self.outputs.weight)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        # Nothing comes after the last token, so it need not be looked at.
        h = self.embedding(x[:, :-1]) + self.positions[:-1]
        if self.of_context is not None:
            h = h + self.of_context(context)[:, None]
        for block in self.blocks:
            h = block(h)
        outputs = F.pad(self.outputs(h), (0, 0, 1, 0))
        return outputs.unflatten(2, (self.outputs_per_feature, -1)).transpose(1, 2).flatten(1, 2)

    def unroll(self, like: Tensor, choose: Callable[[int, Tensor], Tensor], context: Tensor | None = None) -> Tensor:
        cache = KeyValueCache(self.num_steps - 1)
        to_all = 0.0 if self.of_context is None else self.of_context(context)
        tokens = [choose(0, like.new_zeros(len(like), self.outputs_per_feature, like.shape[2]))]
        for place in range(self.num_steps - 1):
            cache.token = place
            h = self.embedding(tokens[-1][:, 0]) + self.positions[place] + to_all
            for block in self.blocks:
                h = block(h, cache)
            outputs = self.outputs(h).unflatten(1, (self.outputs_per_feature, -1))
            tokens.append(choose(place + 1, outputs))
        return torch.cat(tokens, dim=1)
