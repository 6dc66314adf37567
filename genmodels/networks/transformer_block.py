"""The block of a transformer, its norms in front."""

import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.networks.sequence_attention import CausalSelfAttention, KeyValueCache


class TransformerBlock(nn.Module):
    """h + attention(norm(h)), then h + MLP(norm(h)), as in GPT-2; attention is causal, the MLP has one GELU layer.

    Args:
        width: of the tokens.
        num_heads: of the attention, divides the width.
        hidden: units of the MLP.
        dropout: of what is added to the tokens.
        bias: of norms and linear maps.
    Shapes: [B, T, width] -> the same; with a cache [B, width], one token.
    """

    def __init__(self, width: int, num_heads: int, hidden: int, dropout: float = 0.0, bias: bool = False) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, bias=bias)
        self.attention = CausalSelfAttention(width, num_heads, bias=bias)
        self.mlp_norm = nn.LayerNorm(width, bias=bias)
        self.widen = nn.Linear(width, hidden, bias=bias)
        self.narrow = nn.Linear(hidden, width, bias=bias)
        self.dropout = dropout

    def forward(self, h: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        h = h + self._dropped(self.attention(self.attention_norm(h), cache))
        return h + self._dropped(self.narrow(F.gelu(self.widen(self.mlp_norm(h)))))

    def _dropped(self, branch: Tensor) -> Tensor:
        return F.dropout(branch, self.dropout) if self.training else branch
