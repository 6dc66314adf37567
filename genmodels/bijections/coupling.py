"""Couplings: one part of the variables is changed elementwise by a function of the other part."""

import torch
from torch import Tensor, nn

from genmodels.bijections.base import Bijection, sum_per_sample
from genmodels.bijections.elementwise import Elementwise


class Coupling(Bijection):
    """Change one half of the channels given the other.

        z1 = x1,   z2 = f(x2; net(x1)),   log|det| = sum log f'(x2)

    Dinh et al. 2015 (NICE), Equation (4); channel-wise masking of Dinh et al. 2017, Section 3.4. f may be additive
    (NICE), affine (RealNVP, Glow) or anything in `elementwise`.

    Args:
        net: net(x1, context) -> [B, f.num_parameters * C2, ...], not necessarily invertible.
        elementwise: f.
        swap: change the first half given the second.
    Shapes: x, z [B, C, ...]; for odd C the first part has one channel more.
    """

    def __init__(self, net: nn.Module, elementwise: Elementwise, *, swap: bool = False) -> None:
        super().__init__()
        self.net = net
        self.elementwise = elementwise
        self.swap = swap

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        given, changed = self.split(x)
        changed, log_derivative = self.elementwise(changed, self.net(given, context))
        return self.join(given, changed), self.log_det(log_derivative)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        given, changed = self.split(z)
        changed, log_derivative = self.elementwise.inverse(changed, self.net(given, context))
        return self.join(given, changed), self.log_det(log_derivative)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the network sees and what is changed."""
        first, second = x.chunk(2, dim=1)
        return (second, first) if self.swap else (first, second)

    def join(self, given: Tensor, changed: Tensor) -> Tensor:
        """The inverse of `split`; of the gradients of both its results it makes that of x."""
        return torch.cat((changed, given) if self.swap else (given, changed), dim=1)

    def log_det(self, log_derivative: Tensor) -> Tensor:
        """[B], of the log-derivative of every element."""
        return sum_per_sample(log_derivative)


class MaskedCoupling(Coupling):
    """Change the positions where the mask is 0 given those where it is 1.

        z = b * x + (1 - b) * f(x; net(b * x)),   log|det| = sum (1 - b) * log f'(x)

    Dinh et al. 2017, Section 3.4, Equation (9), and Figure 3 for the checkerboard.

    Args:
        net: net(b * x, context) -> [B, f.num_parameters * C, H, W].
        elementwise: f.
        mask: b, of 0 and 1, broadcastable to x.
    Shapes: x, z [B, C, H, W].
    """

    mask: Tensor

    def __init__(self, net: nn.Module, elementwise: Elementwise, mask: Tensor) -> None:
        super().__init__(net, elementwise)
        self.register_buffer("mask", mask, persistent=False)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.mask * x, x

    def join(self, given: Tensor, changed: Tensor) -> Tensor:
        return torch.where(self.mask > 0, given, changed)

    def log_det(self, log_derivative: Tensor) -> Tensor:
        return sum_per_sample((1.0 - self.mask) * log_derivative)


def checkerboard(height: int, width: int, *, flip: bool = False) -> Tensor:
    """A [1, 1, height, width] mask, 1 where row + column is even (odd with `flip`); Dinh et al. 2017, Figure 3."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return ((rows + columns + 1 + int(flip)) % 2).float()[None, None]
