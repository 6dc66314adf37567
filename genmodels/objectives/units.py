"""The unit in which a likelihood is reported: bits per dimension for integer data, nats for continuous data."""

import math
from typing import Any

from torch import Tensor


def metric_name(model: Any) -> str:
    """`bits_per_dim` for models of images (`model.levels` is a number), `nll` for models of vectors."""
    return "nll" if model.levels is None else "bits_per_dim"


def in_reported_unit(log_prob: Tensor, model: Any) -> Tensor:
    """Turn log-probabilities in nats, any shape, into the figure that `metric_name(model)` names.

    bits/dim = -log_prob / (ln 2 * C * H * W); vectors stay in nats: nll = -log_prob.
    """
    if model.levels is None:
        return -log_prob
    return log_prob / (-math.log(2) * math.prod(model.shape))
