"""An invertible matrix as P L (U + diag(s)): its determinant is a product, and it cannot become singular."""

import torch
from torch import Tensor, nn

from genmodels.networks.full_precision import no_autocast


class LUMatrix(nn.Module):
    """A module whose `weight` stands for W = P L (U + diag(s)) (Kingma & Dhariwal 2018, Equation (10)).

    L, U and s share one C x C matrix, as many parameters as W has: below the diagonal L, whose own diagonal is 1, above
    it U, on it log|s|. P and sign(s) are fixed.
    """

    weight: nn.Parameter
    permutation: Tensor
    sign: Tensor

    def start_from(self, matrix: Tensor) -> None:
        """Make the parameter and the buffers such that W is `matrix`."""
        permutation, lower, upper = torch.linalg.lu(matrix)
        diagonal = upper.diagonal()
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", diagonal.sign())
        self.weight = nn.Parameter(lower.tril(-1) + upper.triu(1) + diagonal.abs().log().diag())

    def product(self) -> Tensor:
        """W."""
        lower, upper = self._factors()
        with no_autocast(self.weight):  # of the very matrix that the log-determinant is of
            return self.permutation @ lower @ upper

    def log_det_of_product(self) -> Tensor:
        """log|det W|, a scalar."""
        return self.weight.diagonal().sum()

    def inverse_of_product(self) -> Tensor:
        """W^-1, solved for in double precision: it is needed seldom, and keeps round trips tight at 1e-6."""
        lower, upper = (factor.double() for factor in self._factors())
        right = torch.linalg.solve_triangular(lower, self.permutation.T.double(), upper=False, unitriangular=True)
        return torch.linalg.solve_triangular(upper, right, upper=True).to(self.weight.dtype)

    def _factors(self) -> tuple[Tensor, Tensor]:
        identity = torch.eye(len(self.weight), dtype=self.weight.dtype, device=self.weight.device)
        diagonal = self.sign * self.weight.diagonal().exp()
        return self.weight.tril(-1) + identity, self.weight.triu(1) + diagonal.diag()
