"""A smooth activation of Lipschitz constant 1 (Chen et al. 2019, Residual Flows, Section 3.3)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LipSwish(nn.Module):
    """x sigmoid(b x) / 1.1,  b = softplus(beta) > 0 learned, beta = 0.5 at first.

    Swish has slopes up to 1.0998 whatever b is, so this has slopes below 1; unlike ELU's, its second derivative does
    not vanish where the first is 1, so that the gradient of a log-determinant does not saturate there.

    Shapes: any -> the same.
    """

    MAX_SLOPE = 1.1

    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.tensor([0.5]))

    def forward(self, x: Tensor) -> Tensor:
        sharpness = F.softplus(self.beta)
        return F.silu(x * sharpness) / (self.MAX_SLOPE * sharpness)
