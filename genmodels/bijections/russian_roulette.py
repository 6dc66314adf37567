"""Infinite series summed to a random end without bias (Kahn 1955; Chen et al. 2019, Section 3.1)."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch


class Law(NamedTuple):
    """Of a random number N = 0, 1, 2, ...

    Attributes:
        draw: gives one, by torch's generator of the CPU.
        tail: k -> P(N >= k).
    """

    draw: Callable[[], int]
    tail: Callable[[int], float]


def poisson(mean: float) -> Law:
    """The Poisson distribution."""

    def tail(k: int) -> float:
        return 1.0 - math.exp(-mean) * sum(mean**i / math.factorial(i) for i in range(k))

    return Law(lambda: int(torch.poisson(torch.tensor(mean))), tail)


def geometric(success: float) -> Law:
    """Trials to the first success: 1, 2, ..."""
    return Law(lambda: int(torch.empty(()).geometric_(success)), lambda k: (1.0 - success) ** max(k - 1, 0))


def roulette_weights(exact_terms: int, law: Law) -> list[float]:
    """Factors of the terms 1, 2, ..., exact_terms + N of a series, whose sum then has the whole series as its mean."""
    more = law.draw()
    return [1.0] * exact_terms + [1.0 / law.tail(k) for k in range(1, more + 1)]
