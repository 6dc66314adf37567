"""A bijection of some of the variables, or of all of them laid out in another way."""

from abc import abstractmethod

from torch import Tensor

from genmodels.bijections.base import Bijection


class OnPart(Bijection):
    """z is x with part(x) replaced by inner(part(x)); log|det| is that of `inner`.

    A subclass says what the part is. Both of its methods only pick and reorder elements, so that gradients are picked
    and reordered by the same two.
    """

    def __init__(self, inner: Bijection) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_det = self.inner(self.part(x), context)
        return self.put_back(z, x), log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, log_det = self.inner.inverse(self.part(z), context)
        return self.put_back(x, z), log_det

    @abstractmethod
    def part(self, x: Tensor) -> Tensor:
        """What `inner` sees of x."""

    @abstractmethod
    def put_back(self, part: Tensor, x: Tensor) -> Tensor:
        """x with `part` where `part(x)` was."""
