"""How the log-determinant of an invertible residual block is found: the choices of `model.log_det`."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from genmodels.bijections.log_det_series import (
    exact_log_det,
    memory_saving,
    neumann_series,
    plain_series,
)
from genmodels.bijections.russian_roulette import geometric, poisson, roulette_weights
from genmodels.networks.contraction import Contraction
from genmodels.ranges import at_least

_SERIES = {"series": plain_series, "neumann": neumann_series}


class LogDetEstimator(nn.Module, ABC):
    """g(x) and log|det(I + dg/dx)| of a contraction g.

    What is trained for is a subclass's. Evaluation is the same for all: exact up to so many dimensions, and beyond them
    the series to many terms and a random number of further ones. That is unbiased in the log-determinant, not in the
    determinant: a mean of it is right, the log of a mean of exponentials is not.

    Args:
        exact_up_to: dimensions of a block up to which evaluation takes the whole Jacobian; this costs a product with it
            for each of them.
        evaluation_terms: of the series beyond that, 20 in Chen et al. 2019.
    """

    is_exact_in_training = False

    def __init__(self, exact_up_to: int = 64, evaluation_terms: int = 20) -> None:
        super().__init__()
        at_least(0, under="model.log_det.", exact_up_to=exact_up_to)
        at_least(1, under="model.log_det.", evaluation_terms=evaluation_terms)
        self.exact_up_to = exact_up_to
        self.evaluation_terms = evaluation_terms

    def is_exact(self, dimensions: int) -> bool:
        """Whether it is no estimate, in the mode that it is in, for blocks of so many dimensions."""
        return self.is_exact_in_training if self.training else dimensions <= self.exact_up_to

    def evaluation(self, dimensions: int) -> str:
        """How blocks of so many dimensions are evaluated, in words."""
        if dimensions <= self.exact_up_to:
            return "exact"
        return f"{self.evaluation_terms} terms and a random number more, 1 probe"

    def forward(self, net: Contraction, x: Tensor) -> tuple[Tensor, Tensor]:
        """g(x), and its log-determinant or an estimate of that. Shapes: x [B, ...] -> [B, ...], [B], nats."""
        if self.training:
            return self.in_training(net, x)
        if self.is_exact(x[0].numel()):
            return _exact(net, x)
        return _estimate(net, x, "series", self._weights_in_evaluation(), saves_memory=False)

    @abstractmethod
    def in_training(self, net: Contraction, x: Tensor) -> tuple[Tensor, Tensor]:
        """What `forward` gives in training."""

    def _weights_in_evaluation(self) -> list[float]:
        return roulette_weights(self.evaluation_terms, poisson(2.0))


class BruteForce(LogDetEstimator):
    """The log of the determinant itself, in training too; for few dimensions."""

    is_exact_in_training = True

    def __init__(self) -> None:
        super().__init__(exact_up_to=sys.maxsize)

    def in_training(self, net: Contraction, x: Tensor) -> tuple[Tensor, Tensor]:
        return _exact(net, x)


class PowerSeries(LogDetEstimator):
    """The first terms of the series, with one probe (Behrmann et al. 2019, Algorithm 2): biased.

    What is left out has no certain sign and is at most D (-log(1 - L) - sum_k L^k / k) for a block of D dimensions and
    Lipschitz constant L: training maximises something that may lie above the likelihood.

    Args:
        terms: 5 in the paper for training.
        rest: as of `LogDetEstimator`.
    """

    def __init__(self, terms: int = 5, exact_up_to: int = 64, evaluation_terms: int = 20) -> None:
        super().__init__(exact_up_to, evaluation_terms)
        at_least(1, under="model.log_det.", terms=terms)
        self.terms = terms

    def in_training(self, net: Contraction, x: Tensor) -> tuple[Tensor, Tensor]:
        return _estimate(net, x, "series", [1.0] * self.terms, saves_memory=False)


class RussianRoulette(LogDetEstimator):
    """The series to a random end N, the terms weighted by how likely each is to be reached: unbiased.

        sum_{k <= n + N} (-1)^(k+1) / k  v' J^k v / P(N >= k - n)              (Chen et al. 2019, Theorem 1)

    N and v are drawn anew for each block and batch, by torch's generators. The first n terms are always there.

    Args:
        law: of N: "poisson" with mean 2, or "geometric" on 1, 2, ... with p = 1/2.
        exact_terms: n in training.
        gradient: "neumann" (Theorem 2), which keeps the graph of one product with J, or "series", term by term.
        saves_memory: compute the gradient in the forward pass, see `memory_saving`.
        rest: as of `LogDetEstimator`.

    Attributes:
        mean, success: of the two laws. Nothing trains them. They are parameters as in the official code, whose
            published counts hold them.
    """

    def __init__(
        self,
        law: Literal["poisson", "geometric"] = "poisson",
        exact_terms: int = 2,
        gradient: Literal["neumann", "series"] = "neumann",
        saves_memory: bool = True,
        exact_up_to: int = 64,
        evaluation_terms: int = 20,
    ) -> None:
        super().__init__(exact_up_to, evaluation_terms)
        at_least(0, under="model.log_det.", exact_terms=exact_terms)
        self.law, self.exact_terms, self.gradient, self.saves_memory = law, exact_terms, gradient, saves_memory
        self.mean = nn.Parameter(torch.tensor(2.0), requires_grad=False)
        self.success = nn.Parameter(torch.tensor(0.5), requires_grad=False)

    def in_training(self, net: Contraction, x: Tensor) -> tuple[Tensor, Tensor]:
        return _estimate(net, x, self.gradient, self._weights(self.exact_terms), self.saves_memory)

    def _weights_in_evaluation(self) -> list[float]:
        return self._weights(self.evaluation_terms)

    def _weights(self, exact_terms: int) -> list[float]:
        law = poisson(float(self.mean)) if self.law == "poisson" else geometric(float(self.success))
        return roulette_weights(exact_terms, law)


def _exact(net: Contraction, x: Tensor) -> tuple[Tensor, Tensor]:
    g, product = net.linearized(x)
    return g, exact_log_det(product, x)


def _estimate(
    net: Contraction, x: Tensor, gradient: str, weights: Sequence[float], saves_memory: bool
) -> tuple[Tensor, Tensor]:
    """By one Gaussian probe."""
    probe, wants_gradient = torch.randn_like(x), torch.is_grad_enabled()
    if wants_gradient and saves_memory:
        return memory_saving(_SERIES[gradient], net, x, probe, weights)
    g, product = net.linearized(x)
    series = _SERIES[gradient] if wants_gradient else plain_series
    return g, series(product, probe, weights)
