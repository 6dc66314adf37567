"""Maps whose parameters are not their own but another network's, given for each example."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from genmodels.bijections.base import Bijection

Map = Callable[..., tuple[Tensor, Tensor]]


class MapFamily(NamedTuple):
    """Maps of vectors of one formula: `forward(x, *parameters)` and `inverse(z, *parameters)`, as of a `Bijection`.

    Attributes:
        shapes: of the parameters, for a number of features; each may have a batch dimension before it.
    """

    forward: Map
    inverse: Map
    shapes: Callable[[int], Sequence[tuple[int, ...]]]


class Amortized(Bijection):
    """f_K o ... o f_1, all of one family, with the context as their parameters: those of f_1 first.

    Args:
        family: of the maps.
        features: D.
        num_maps: K.
    Shapes: x, z [B, D]; context [B, context_features].
    """

    def __init__(self, family: MapFamily, features: int, num_maps: int) -> None:
        super().__init__()
        self.family = family
        self.shapes = family.shapes(features)
        self.num_maps = num_maps
        self.context_features = num_maps * sum(math.prod(shape) for shape in self.shapes)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_det = x.new_zeros(x.shape[0])
        for parameters in self._parameters_from(context):
            x, step = self.family.forward(x, *parameters)
            log_det = log_det + step
        return x, log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_det = z.new_zeros(z.shape[0])
        for parameters in reversed(list(self._parameters_from(context))):
            z, step = self.family.inverse(z, *parameters)
            log_det = log_det + step
        return z, log_det

    def _parameters_from(self, context: Tensor | None) -> Iterator[list[Tensor]]:
        """Those of each map in turn."""
        if context is None:
            raise ValueError("Amortized maps have no parameters of their own: they need a context")
        sizes = [math.prod(shape) for shape in self.shapes]
        for share in context.chunk(self.num_maps, dim=1):
            parts = zip(share.split(sizes, dim=1), self.shapes, strict=True)
            yield [part.reshape(len(part), *shape) for part, shape in parts]
