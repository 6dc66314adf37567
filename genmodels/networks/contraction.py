"""A network of Lipschitz constant below 1 that knows its derivative."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, cast

from torch import Tensor, nn

from genmodels.networks.lipschitz import Lipschitz
from genmodels.networks.slope_one import SlopeOne

Product = Callable[[Tensor], Tensor]


class Step(NamedTuple):
    """One layer at one x: A o phi.

    Attributes:
        layer: A.
        weight: of A, with the factors of the activations on both its sides.
        phi: None where there is none.
        h: what goes into it.
    """

    layer: Lipschitz
    weight: Tensor
    phi: SlopeOne | None
    h: Tensor


class Contraction(nn.Module):
    """g = A_n o phi_n o ... o A_1 o phi_1 of `Lipschitz` maps A and activations phi.

    The activations' factors are moved into the maps, and products with the Jacobian are taken by hand: a residual block
    takes many of them at one x, and passes over activations are what they cost.

    Args:
        layers: A_1 .. A_n.
        activation: makes a phi.
        activates_input: whether there is phi_1.
    Shapes: x [B, ...] -> [B, ...] as the layers take and give it.
    """

    def __init__(
        self, layers: Sequence[Lipschitz], activation: Callable[[], SlopeOne], activates_input: bool = True
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.activations = nn.ModuleList(activation() for _ in (layers if activates_input else layers[1:]))

    def forward(self, x: Tensor) -> Tensor:
        g, _ = self._run(x)
        return g

    def linearized(self, x: Tensor) -> tuple[Tensor, Product]:
        """g(x), and the map v -> v' dg/dx at x, which can be differentiated where gradients are enabled.

        Shapes: x [B, ...] -> g [B, ...]; v like g -> like x.
        """
        g, steps = self._run(x)
        slopes = [None if step.phi is None else step.phi.slope(step.h) for step in steps]
        first = steps[0].phi
        outermost = 1.0 if first is None else first.factors()[0]

        def product(v: Tensor) -> Tensor:
            for step, slope in zip(reversed(steps), reversed(slopes), strict=True):
                v = step.layer.transposed(v, step.weight)
                v = v if slope is None else v * slope
            return v * outermost

        return g, product

    def iterate(self) -> None:
        """Let the spectral norms of all layers follow their weights."""
        for layer in cast(Iterable[Lipschitz], self.layers):
            layer.iterate()

    def _run(self, x: Tensor) -> tuple[Tensor, list[Step]]:
        layers = cast(Sequence[Lipschitz], self.layers)
        activations = cast(Sequence[SlopeOne], self.activations)
        missing = len(layers) - len(activations)
        phis = [*[None] * missing, *activations]
        factors = [(1.0, 1.0)] * missing + [phi.factors() for phi in activations]
        inners = [*(inner for inner, _ in factors[1:]), 1.0]
        steps, h = [], x * factors[0][0]
        for layer, phi, (_, outer), inner in zip(layers, phis, factors, inners, strict=True):
            step = Step(layer, layer.normalized() * (outer * inner), phi, h)
            steps.append(step)
            h = layer.mapped(h if phi is None else phi.f(h), step.weight, layer.bias * inner)
        return h, steps
