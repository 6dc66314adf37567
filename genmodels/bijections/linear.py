"""Linear flows of vectors, z = W x + b, with log-determinants in O(D).

Papamakarios et al. 2021 (Normalizing Flows for Probabilistic Modeling and Inference), Section 3.2: W is never a free
matrix but a product of factors whose determinants and inverses are cheap, and which cannot become singular.
"""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.bijections.base import Bijection
from genmodels.bijections.lu_matrix import LUMatrix
from genmodels.networks.eval_cache import CachesInEval
from genmodels.networks.full_precision import no_autocast


class Linear(CachesInEval, Bijection):
    """z = W x + b, log|det| = log|det W|.

    W and its inverse are kept in `eval()`: sampling inverts each layer once, not once a batch.

    Shapes: x, z [B, features].
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        with no_autocast(x):
            matrix = self.cached(self.matrix, *self.parameters())
            return F.linear(x, matrix, self.bias), self._log_det().expand(x.shape[0])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        with no_autocast(z):
            matrix = self.cached(self._invert, *self.parameters())
            return F.linear(z - self.bias, matrix), -self._log_det().expand(z.shape[0])

    @abstractmethod
    def matrix(self) -> Tensor:
        """W, [features, features]."""

    @abstractmethod
    def _log_det(self) -> Tensor:
        """log|det W|, a scalar, in O(features)."""

    @abstractmethod
    def _invert(self) -> Tensor:
        """W^-1, [features, features]."""


class Diagonal(Linear):
    """W = diag(exp(s)); starts as the identity."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.log_scale = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x * self.log_scale.exp() + self.bias, self._log_det().expand(x.shape[0])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return (z - self.bias) * torch.exp(-self.log_scale), -self._log_det().expand(z.shape[0])

    def matrix(self) -> Tensor:
        return self.log_scale.exp().diag()

    def _log_det(self) -> Tensor:
        return self.log_scale.sum()

    def _invert(self) -> Tensor:
        return torch.exp(-self.log_scale).diag()


class Triangular(Linear):
    """W triangular with diagonal exp(s), which stands on the diagonal of the parameter; starts as the identity.

    Args:
        upper: above the diagonal instead of below. Either is an affine autoregressive flow with linear conditioner.
    """

    def __init__(self, features: int, *, upper: bool = False) -> None:
        super().__init__(features)
        self.upper = upper
        self.weight = nn.Parameter(torch.zeros(features, features))

    def matrix(self) -> Tensor:
        triangle = self.weight.triu(1) if self.upper else self.weight.tril(-1)
        return triangle + self.weight.diagonal().exp().diag()

    def _log_det(self) -> Tensor:
        return self.weight.diagonal().sum()

    def _invert(self) -> Tensor:
        return torch.linalg.solve_triangular(self.matrix(), _identity(self.bias), upper=self.upper)


class PLU(LUMatrix, Linear):
    """W = P L U: a fixed permutation, L unit-lower, U upper, see `LUMatrix`; starts as a random rotation.

    Kingma & Dhariwal 2018, Equation (10), for vectors; `InvertibleConv1x1` is the same for pixels.
    """

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.start_from(torch.linalg.qr(torch.randn(features, features)).Q)

    def matrix(self) -> Tensor:
        return self.product()

    def _log_det(self) -> Tensor:
        return self.log_det_of_product()

    def _invert(self) -> Tensor:
        return self.inverse_of_product()


class QR(Linear):
    """W = Q R: a product of Householder reflections and an upper triangle with diagonal exp(s).

        Q = H_1 .. H_K,   H_k = I - 2 v_k v_k' / v_k'v_k     (Tomczak & Welling 2016, Equation 10)

    R starts as the identity, Q as a random rotation or reflection.

    Args:
        num_reflections: K; all of D reach every rotation (or reflection), fewer a part of them. None: D.
    """

    def __init__(self, features: int, num_reflections: int | None = None) -> None:
        super().__init__(features)
        self.vectors = nn.Parameter(torch.randn(features if num_reflections is None else num_reflections, features))
        self.weight = nn.Parameter(torch.zeros(features, features))

    def matrix(self) -> Tensor:
        with no_autocast(self.weight):
            return self._rotation() @ self._upper()

    def _log_det(self) -> Tensor:
        return self.weight.diagonal().sum()

    def _invert(self) -> Tensor:
        return torch.linalg.solve_triangular(self._upper(), self._rotation().T, upper=True)

    def _rotation(self) -> Tensor:
        rotation = _identity(self.bias)
        with no_autocast(rotation):
            for v in self.vectors:
                rotation = rotation - torch.outer(rotation @ v, v * (2.0 / v.dot(v)))
        return rotation

    def _upper(self) -> Tensor:
        return self.weight.triu(1) + self.weight.diagonal().exp().diag()


def _identity(like: Tensor) -> Tensor:
    return torch.eye(len(like), dtype=like.dtype, device=like.device)
