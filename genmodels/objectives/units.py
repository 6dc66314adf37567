"""The unit in which a likelihood is reported: bits per dimension for integer data, nats for continuous data."""

import math
from collections.abc import Sequence

from torch import Tensor

from genmodels.models.model import Model


def metric_name(model: Model) -> str:
    """`bits_per_dim` for models of images (`model.levels` is a number), `nll` for models of vectors."""
    return "nll" if model.levels is None else "bits_per_dim"


def bits_per_dim(log_prob: Tensor, shape: Sequence[int]) -> Tensor:
    """-log_prob / (ln 2 * prod(shape)): nats of discrete data, any shape, to bits/dim; lower is better."""
    return log_prob / (-math.log(2) * math.prod(shape))


def in_reported_unit(log_prob: Tensor, model: Model) -> Tensor:
    """Turn log-probabilities in nats, any shape, into the figure of `metric_name(model)`: bits/dim, or -nats."""
    if model.levels is None:
        return -log_prob
    return bits_per_dim(log_prob, model.shape)
