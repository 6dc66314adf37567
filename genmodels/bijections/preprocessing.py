"""Fixed maps between pixels and the space in which a flow works."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.bijections.base import Bijection, sum_per_sample
from genmodels.bijections.on_part import OnPart


class Logit(Bijection):
    """z = logit(alpha + (1 - 2 alpha) x) for x in [0, 1].

    Dinh et al. 2017, Section 4.1 (there written with 1 - alpha: their data_constraint 0.9 is alpha = 0.05; MNIST in
    MAF and later papers 1e-6). log|det| = sum softplus(z) + softplus(-z) + log(1 - 2 alpha).

    Raises:
        ValueError: alpha outside (0, 0.5): at 0 the edges of the interval would go to infinity.
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        if not 0.0 < alpha < 0.5:
            raise ValueError(f"alpha must lie in (0, 0.5), got {alpha}")
        self.alpha = alpha

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = torch.logit(self.alpha + (1.0 - 2.0 * self.alpha) * x)
        return z, self._log_det(z)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = (torch.sigmoid(z) - self.alpha) / (1.0 - 2.0 * self.alpha)
        return x, -self._log_det(z)

    def _log_det(self, z: Tensor) -> Tensor:
        return sum_per_sample(F.softplus(z) + F.softplus(-z) + math.log(1.0 - 2.0 * self.alpha))


class Shift(Bijection):
    """z = x + offset, volume-preserving; Glow centres its pixels by -0.5."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x + self.offset, x.new_zeros(x.shape[0])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z - self.offset, z.new_zeros(z.shape[0])


class Centre(Bijection):
    """z = 2 x - 1 for x in [0, 1]; log|det| = D ln 2. Deviations of about one: flow matching's pixels."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return 2.0 * x - 1.0, x.new_full((len(x),), x[0].numel() * math.log(2.0))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return 0.5 * (z + 1.0), z.new_full((len(z),), -z[0].numel() * math.log(2.0))


class Flattened(OnPart):
    """A bijection of vectors, applied to images read row by row. Shapes: x, z [B, *shape]; `inner` [B, prod(shape)]."""

    def __init__(self, inner: Bijection, shape: Sequence[int]) -> None:
        super().__init__(inner)
        self.shape = tuple(shape)

    def part(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def put_back(self, part: Tensor, x: Tensor) -> Tensor:
        return part.unflatten(1, self.shape)
