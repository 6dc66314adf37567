"""Multi-scale architectures: half of the variables leave early (Dinh et al. 2017, Section 3.6)."""

import torch
from torch import Tensor, nn

from genmodels.bijections.affine import Standardize
from genmodels.bijections.base import Bijection
from genmodels.bijections.compose import Compose
from genmodels.bijections.coupling import Coupling
from genmodels.bijections.on_part import OnPart


class OnHalf(OnPart):
    """Transform one half of the channels and let the other pass.

    Args:
        inner: bijection of [B, C/2, ...].
        second: which half it sees.
    Shapes: x, z [B, C, ...] with even C.
    """

    def __init__(self, inner: Bijection, *, second: bool = False) -> None:
        super().__init__(inner)
        self.second = second

    def part(self, x: Tensor) -> Tensor:
        return x.chunk(2, dim=1)[int(self.second)]

    def put_back(self, part: Tensor, x: Tensor) -> Tensor:
        x1, x2 = x.chunk(2, dim=1)
        return torch.cat((x1, part) if self.second else (part, x2), dim=1)


class FactorOut(Compose):
    """Transform the first half of the channels further; let the second half go.

        z1 = rest(x1),   z2 = x2                              (RealNVP, Equation (14))
        z1 = rest(x1),   z2 = (x2 - mu(x1)) / sigma(x1)       (Glow's learned split prior)

    The second form gives the factored-out variables the prior N(mu(x1), sigma(x1)) while what reaches the base stays
    standard normal; it is a coupling in front of the split.

    Args:
        rest: bijection of the first half.
        prior: net(x1, context) -> (mu, log sigma) of x2, [B, C, H, W], or None for the standard normal.
    Shapes: x, z [B, C, H, W] with even C.
    """

    def __init__(self, rest: Bijection, prior: nn.Module | None = None) -> None:
        standardized = [] if prior is None else [Coupling(prior, Standardize())]
        super().__init__([*standardized, OnHalf(rest)])
