"""A learned scale for each dimension."""

import torch
from torch import Tensor, nn

from genmodels.bijections.base import Bijection
from genmodels.networks.data_init import DataInitialized, standardization


class Scale(DataInitialized, Bijection):
    """z = exp(s) * x with learned s: NICE's last layer (Dinh et al. 2015, Section 3.3). log|det| = sum s.

    Deviation: s starts where z has variance 1 on the first batch, not at 0; pixels that hardly vary need a scale of
    a hundred, which takes the optimiser thousands of steps to reach. Explicit, see `genmodels.networks.data_init`.

    Shapes: x, z [B, features].
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.is_pending:
            self.log_scale.copy_(standardization(x)[1])
            self._done()
        return x * self.log_scale.exp(), self.log_scale.sum().expand(x.shape[0])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z * torch.exp(-self.log_scale), -self.log_scale.sum().expand(z.shape[0])
