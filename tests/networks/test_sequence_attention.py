"""Attention against its definition, written out in float64."""

import pytest
import torch
from torch import Tensor

from genmodels.networks.sequence_attention import CausalSelfAttention, KeyValueCache

WIDTH, HEADS, CHANNELS = 6, 2, 8


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _explicit(layer: CausalSelfAttention, x: Tensor) -> Tensor:
    """One token, one head and one pair of tokens after another."""
    query, key, value = (x @ weight.T for weight in layer.query_key_value.weight.chunk(3))
    per_head = CHANNELS // HEADS
    attended = torch.zeros_like(query)
    for image in range(len(x)):
        for head in range(HEADS):
            mine = slice(head * per_head, (head + 1) * per_head)
            for t in range(x.shape[1]):
                first = 0 if layer.block_length is None else (t // layer.block_length - 1) * layer.block_length
                seen = range(max(0, first), t + 1)
                scores = torch.stack([query[image, t, mine] @ key[image, s, mine] for s in seen])
                weights = (scores / per_head**0.5).exp()
                total = sum(w * value[image, s, mine] for w, s in zip(weights, seen, strict=True))
                attended[image, t, mine] = total / weights.sum()
    return attended @ layer.output.weight.T


@pytest.mark.parametrize("block_length", [None, 1, 2, 3, 5, 6, 11, 20])
def test_attention_is_its_definition(block_length: int | None) -> None:
    layer = CausalSelfAttention(WIDTH, HEADS, CHANNELS, block_length).double()
    x = torch.randn(2, 11, WIDTH, dtype=torch.float64)
    with torch.no_grad():
        expected = _explicit(layer, x)
        torch.testing.assert_close(layer(x), expected, atol=1e-12, rtol=1e-10)
        torch.testing.assert_close(layer.float()(x.float()), expected.float(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("block_length", [None, 1, 3, 20])
def test_one_token_at_a_time_is_the_same(block_length: int | None) -> None:
    layer = CausalSelfAttention(WIDTH, HEADS, CHANNELS, block_length).double()
    x = torch.randn(2, 11, WIDTH, dtype=torch.float64)
    cache = KeyValueCache(11)
    with torch.no_grad():
        expected = layer(x)
        for t in range(11):
            cache.token = t
            layer(torch.randn_like(x[:, t]), cache)  # a token may come again
            torch.testing.assert_close(layer(x[:, t], cache), expected[:, t], atol=1e-12, rtol=1e-10)


def test_heads_must_divide_the_channels() -> None:
    with pytest.raises(ValueError, match="9 channels"):
        CausalSelfAttention(9, 2)
