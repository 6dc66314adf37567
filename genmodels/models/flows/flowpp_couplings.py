"""The stacks of couplings that Flow++ and its dequantisation are made of."""

from dataclasses import dataclass
from typing import Literal

from genmodels.bijections import (
    Bijection,
    Compose,
    Coupling,
    Elementwise,
    InvertibleConv1x1,
    MixtureLogistic,
    OnHalf,
    PositionNorm,
    ScaleShift,
)
from genmodels.errors import UserError
from genmodels.models.flows.flowpp_net import Attention, FlowPPNet
from genmodels.ranges import at_least, fractions

Kind = Literal["mixlogistic", "affine"]


@dataclass(frozen=True)
class FlowPPCouplings:
    """Settings of the couplings; `stack` makes a run of them.

    Args:
        width, num_blocks, heads, dropout, attention, context_channels, activate_output: see `FlowPPNet`.
        coupling: a mixture of `num_components` logistics, or "affine" for the paper's ablation.
        pointwise: a learned matrix across the channels of each half before each coupling (CIFAR-10 only).
    """

    width: int
    num_blocks: int
    num_components: int
    heads: int
    dropout: float
    attention: Attention
    coupling: Kind
    pointwise: bool
    activate_output: bool
    context_channels: int = 0

    def check(self, under: str) -> None:
        """Raise UserError unless all numbers are in their ranges; `under` is what stands before them in a config."""
        sizes = {name: getattr(self, name) for name in ("width", "num_blocks", "num_components", "heads")}
        at_least(1, under=under, **sizes)
        fractions(under=under, dropout=self.dropout)
        if self.attention != "none" and self.width % self.heads:
            raise UserError(f"{under}width={self.width} must be a multiple of {under}heads={self.heads}.")

    def stack(self, shape: tuple[int, int, int], number: int) -> Bijection:
        """`number` times norm -> 1x1 of each half -> coupling, which half is changed taking turns.

        Args:
            shape: (C, H, W) of both halves together.
        """
        channels, height, width = shape
        half = channels // 2
        layers: list[Bijection] = []
        for index in range(number):
            layers.append(PositionNorm(shape))
            if self.pointwise:
                layers.extend(OnHalf(_near_identity(half), second=second) for second in (False, True))
            elementwise = self._elementwise()
            net = FlowPPNet(
                half,
                elementwise.num_parameters * half,
                (height, width),
                self.width,
                self.num_blocks,
                self.heads,
                self.dropout,
                self.attention,
                self.context_channels,
                self.activate_output,
            )
            layers.append(Coupling(net, elementwise, swap=bool(index % 2)))
        return Compose(layers)

    def _elementwise(self) -> Elementwise:
        return MixtureLogistic(self.num_components) if self.coupling == "mixlogistic" else ScaleShift()


def _near_identity(channels: int) -> Bijection:
    return InvertibleConv1x1(channels, lu=False, identity_noise=0.001)
