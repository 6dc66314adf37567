"""The unit of every image likelihood in the literature."""

import math
from collections.abc import Sequence

from torch import Tensor


def bits_per_dim(log_prob: Tensor, shape: Sequence[int]) -> Tensor:
    """Negative log-likelihood per dimension: -log_prob / (ln 2 * prod(shape)).

    Args:
        log_prob: any shape, nats per image of discrete data (log-probabilities or log-weights).
        shape: of one image, [C, H, W].

    Returns:
        Tensor of log_prob's shape, bits/dim; lower is better.
    """
    return -log_prob / (math.log(2) * math.prod(shape))
