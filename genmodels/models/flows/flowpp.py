"""Flow++: Improving Flow-Based Generative Models (Ho et al., ICML 2019, arXiv:1902.00275)."""

from collections.abc import Sequence

from genmodels.bijections import Compose, Logit
from genmodels.distributions import Dequantization
from genmodels.models.data_checks import image_shape
from genmodels.models.flows.flow import Flow
from genmodels.models.flows.flowpp_couplings import FlowPPCouplings, Kind
from genmodels.models.flows.flowpp_layout import assemble, settle
from genmodels.models.flows.flowpp_net import Attention
from genmodels.ranges import between

CIFAR10_LAYOUT = ("4 columns", "squeeze", "2 channels", "3 columns or channels")


class FlowPP(Flow):
    """Mixture-of-logistics couplings with self-attention, at full resolution to the end.

        logit -> 4 column couplings -> squeeze -> 2 channel couplings -> 3 column couplings        (CIFAR-10)
        coupling:  norm -> 1x1 of each half -> x2 <- logit(MixLogCDF(x2; net(x1))) * exp(tanh a) + b
        net:       3x3 -> 10 x [gated convolution, layer norm, self-attention, layer norm] -> 3x3

    Section 3 and official code, whose oddities are kept: its "checkerboard" is a split into columns, its norm has a
    scale for every position and channel, and nothing is factored out. With variational dequantisation (see
    `FlowPPDequantization`) the CIFAR-10 model has 31,443,440 parameters, as many as the official code.

    Deviations: which half a coupling changes takes turns instead of the halves trading places (the same functions up
    to the order of the latents), the network's outputs come in blocks instead of interleaved, and convolutions are
    never weight-normalised (in the official code those of the ImageNet 32x32 model are).

    Args:
        shape: (C, H, W).
        levels: number of pixel values, x in 0 .. levels - 1.
        layout: order of couplings and squeezes, see `flowpp_layout.settle`.
        width, num_blocks, num_components, heads, dropout, attention, coupling, pointwise, activate_output: of the
            couplings, see `FlowPPCouplings`.
        alpha: of the logit preprocessing.
        dequantization: of the pixels; uniform unless given.
        reversible: recompute the flow's activations in the backward pass instead of keeping them, see `Flow`; those of
            a variational dequantisation, whose depth is another, are kept.
    Raises:
        UserError: a layout that does not fit the shape, or a number out of its range.
    """

    takes = frozenset(("images",))

    def __init__(
        self,
        shape: Sequence[int],
        levels: int,
        layout: Sequence[str] = CIFAR10_LAYOUT,
        width: int = 96,
        num_blocks: int = 10,
        num_components: int = 32,
        heads: int = 4,
        dropout: float = 0.2,
        attention: Attention = "self",
        coupling: Kind = "mixlogistic",
        pointwise: bool = True,
        activate_output: bool = False,
        alpha: float = 0.05,
        dequantization: Dequantization | None = None,
        reversible: bool = False,
    ) -> None:
        between(0.0, 0.5, alpha=alpha)
        size = image_shape("flowpp", shape)
        couplings = FlowPPCouplings(
            width, num_blocks, num_components, heads, dropout, attention, coupling, pointwise, activate_output
        )
        couplings.check("model.")
        settled = settle(layout, size)
        flow = Compose([Logit(alpha), assemble(settled, size, couplings)])
        super().__init__(flow, shape, levels, dequantization=dequantization, reversible=reversible)
        self.chosen = {"layout": settled} if settled != list(layout) else {}
