"""Attention of every pixel to the pixels before it, over whole images and, with a memory, one pixel at a time."""

import torch
import torch.nn.functional as F
from torch import Tensor


def attend_to_earlier(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The mean of the values at earlier pixels, row by row, weighted by softmax(query . key / sqrt(K)).

    The first pixel has none before it and gets zeros.

    Shapes: query, key [B, K, H, W], value [B, V, H, W] -> [B, V, H, W].
    """
    q, k, v = (t.flatten(2).mT for t in (query, key, value))
    # Fused kernels want keys as wide as values; zeros change no product.
    k_width, v_width = k.shape[2], v.shape[2]
    q, k = (F.pad(t, (0, max(0, v_width - k_width))) for t in (q, k))
    v = F.pad(v, (0, max(0, k_width - v_width)))
    # Without the last key and the first query, "earlier" is what is_causal calls "up to here".
    mean = F.scaled_dot_product_attention(
        q[:, None, 1:], k[:, None, :-1], v[:, None, :-1], is_causal=True, scale=k_width**-0.5
    )
    return F.pad(mean[:, 0, :, :v_width], (0, 0, 1, 0)).mT.unflatten(2, value.shape[2:])


class Memory:
    """Keys and values of the pixels so far, for one attention of a network that draws pixel by pixel.

    Args:
        batch, length, key_width, value_width: B, H * W, K and V.
        like: a tensor of the type and on the device wanted.
    Attributes:
        last: features of the last pixel, for its key and value, which wait for that pixel to be drawn.
    """

    last: Tensor | None = None

    def __init__(self, batch: int, length: int, key_width: int, value_width: int, like: Tensor) -> None:
        self._of_pixels = like.new_empty(length, batch, key_width + value_width)
        self._keys, self._values = self._of_pixels.transpose(0, 1).split((key_width, value_width), dim=2)
        self._scale = key_width**-0.5
        self._seen = 0

    def append(self, key_value: Tensor) -> None:
        """Add those of the next pixel. Shapes: [B, K + V, 1, 1]."""
        self._of_pixels[self._seen] = key_value.flatten(1)
        self._seen += 1

    def attend(self, query: Tensor) -> Tensor:
        """As `attend_to_earlier` for the pixel after those added. Shapes: [B, K, 1, 1] -> [B, V, 1, 1]."""
        keys, values = self._keys[:, : self._seen], self._values[:, : self._seen]
        logits = torch.bmm(keys, query.flatten(2)) * self._scale
        return torch.bmm(values.mT, logits.softmax(dim=1))[..., None]
