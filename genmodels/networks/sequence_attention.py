"""Causal self-attention over sequences, full or local, whole or, with a cache, one token at a time."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class KeyValueCache:
    """Keys and values of the tokens so far, of every attention layer.

    A network that is run on one token [B, width] with the cache at hand does what it would do there within the whole
    sequence [B, T, width]. Tokens come in order; a token may come again.

    Kept in one buffer, or, where gradients are asked for, joined anew for each token.

    Args:
        num_tokens: length of the whole sequence.
    Attributes:
        token: the one being drawn, 0 .. num_tokens - 1, set by whoever draws.
    """

    def __init__(self, num_tokens: int) -> None:
        self.num_tokens = num_tokens
        self.token = 0
        self._kept: dict[object, Tensor] = {}

    def seen(self, layer: object, key_value: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Keys and values of the tokens from `first` to this one.

        Args:
            key_value: of `layer` for this token, [2, B, heads, 1, channels]; kept.
        Returns: two of [B, heads, token - first + 1, channels].
        """
        kept = self._kept.get(layer)
        if torch.is_grad_enabled():
            kept = key_value if kept is None else torch.cat((kept[:, :, :, : self.token], key_value), dim=3)
            self._kept[layer] = kept
        else:
            if kept is None:
                kept = key_value.new_empty(*key_value.shape[:3], self.num_tokens, key_value.shape[4])
                self._kept[layer] = kept
            kept[:, :, :, self.token : self.token + 1] = key_value
        key, value = kept[:, :, :, first : self.token + 1].unbind(0)
        return key, value


class CausalSelfAttention(nn.Module):
    """Multi-head attention in which a token looks at itself and at those before it.

    Args:
        width: of the tokens, in and out.
        num_heads: divides `channels`.
        channels: of queries, keys and values, all heads together; None for `width`.
        block_length: None to look at all tokens before. Otherwise the sequence is cut into blocks of this length, and a
            token looks at its own block and the one before ("local 1D" of Parmar et al. 2018, Section 3.2).
        bias: of the linear maps.
    Shapes: [B, T, width] -> the same; with a cache [B, width], one token.
    Raises:
        ValueError: heads that do not divide the channels.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        channels: int | None = None,
        block_length: int | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        channels = channels or width
        if channels % num_heads:
            raise ValueError(f"{channels} channels do not divide by {num_heads} heads")
        self.num_heads = num_heads
        self.block_length = block_length
        self.query_key_value = nn.Linear(width, 3 * channels, bias=bias)
        self.output = nn.Linear(channels, width, bias=bias)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        if cache is not None:
            return self.output(self._attend(self.query_key_value(x), cache))
        query, key, value = self.query_key_value(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        if self.block_length is None or x.shape[1] <= 2 * self.block_length:
            attended = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        else:
            attended = _local_attention(query, key, value, self.block_length)
        return self.output(attended.transpose(1, 2).flatten(2))

    def _attend(self, projected: Tensor, cache: KeyValueCache) -> Tensor:
        """What one token gets: [B, 3 channels] -> [B, channels]."""
        together = projected.view(len(projected), 3, self.num_heads, 1, -1).transpose(0, 1)
        key, value = cache.seen(self, together[1:], self._first_seen_by(cache.token))
        return F.scaled_dot_product_attention(together[0], key, value).view(len(projected), -1)

    def _first_seen_by(self, token: int) -> int:
        if self.block_length is None:
            return 0
        return max(0, (token // self.block_length - 1) * self.block_length)


def _local_attention(query: Tensor, key: Tensor, value: Tensor, block_length: int) -> Tensor:
    """Attention to one's own block, up to oneself, and to all of the block before. Shapes: all [B, heads, T, C]."""
    length = query.shape[2]
    query, key, value = (F.pad(t, (0, 0, 0, -length % block_length)) for t in (query, key, value))
    alone = slice(None, block_length)
    head = F.scaled_dot_product_attention(query[:, :, alone], key[:, :, alone], value[:, :, alone], is_causal=True)

    # Blocks become heads: [B, heads, block, token, C] -> [B, heads * block, token, C].
    queries, keys, values = (t.unflatten(2, (-1, block_length)) for t in (query, key, value))
    keys, values = (torch.cat((t[:, :, :-1], t[:, :, 1:]), dim=3).flatten(1, 2) for t in (keys, values))
    visible = torch.ones(block_length, 2 * block_length, dtype=torch.bool, device=query.device).tril(block_length)
    rest = F.scaled_dot_product_attention(queries[:, :, 1:].flatten(1, 2), keys, values, attn_mask=visible)
    rest = rest.unflatten(1, (query.shape[1], -1)).flatten(2, 3)
    return torch.cat((head, rest), dim=2)[:, :, :length]
