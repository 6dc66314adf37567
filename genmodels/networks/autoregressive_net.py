"""What an autoregressive flow asks of its network."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn


class AutoregressiveNet(nn.Module, ABC):
    """Parameters h_i(x_1 .. x_{i-1}, context) for each of the steps x_i of x, of all at once or one after the other.

    Attributes:
        num_steps: of x.
    """

    num_steps: int

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """All h_i, stacked in blocks along dimension 1 as `Elementwise` wants them. Shapes: x [B, N, ...]."""

    @abstractmethod
    def unroll(self, like: Tensor, choose: Callable[[int, Tensor], Tensor], context: Tensor | None = None) -> Tensor:
        """x, one step after the other, each chosen once the parameters for it are known.

        Args:
            like: of the shape of x, gives batch size, dtype and device.
            choose: (i, h_i) -> x_i [B, 1, ...], h_i stacked along dimension 1 too.
            context: [B, E] or None.
        """
