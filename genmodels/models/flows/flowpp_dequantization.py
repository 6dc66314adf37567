"""Flow++'s variational dequantisation as a choice for any flow of images (Ho et al. 2019, Section 3.1)."""

from collections.abc import Sequence

from genmodels.bijections import ColumnSplit
from genmodels.distributions import VariationalDequantization
from genmodels.models.data_checks import image_shape
from genmodels.models.flows.flowpp_couplings import FlowPPCouplings, Kind
from genmodels.models.flows.flowpp_layout import check_columns
from genmodels.models.flows.flowpp_net import Attention, ContextNet
from genmodels.ranges import at_least


class FlowPPDequantization(VariationalDequantization):
    """Couplings between even and odd columns of the noise, each given the image through a convolutional context.

    The defaults are the official CIFAR-10 model's.

    Args:
        shape: (C, H, W) with even W.
        levels: number of pixel values.
        num_couplings: in a row.
        num_blocks: of each coupling's network.
        context_width: channels of the context network.
        context_blocks: gated convolutions in it.
        context_attention: see `ContextNet`; null for its bare gated convolutions.
        reversible: recompute the couplings' activations in the backward pass, see `VariationalDequantization`.
        width, num_components, heads, dropout, attention, coupling, pointwise, activate_output: see `FlowPPCouplings`.
    Raises:
        UserError: no image, or one of odd width, or a number out of its range.
    """

    def __init__(
        self,
        shape: Sequence[int],
        levels: int,
        num_couplings: int = 4,
        num_blocks: int = 2,
        width: int = 96,
        num_components: int = 32,
        heads: int = 4,
        dropout: float = 0.2,
        attention: Attention = "self",
        coupling: Kind = "mixlogistic",
        pointwise: bool = True,
        activate_output: bool = False,
        context_width: int = 32,
        context_blocks: int = 3,
        context_attention: Attention | None = None,
        reversible: bool = False,
    ) -> None:
        channels, height, image_width = image_shape("flowpp", shape)
        check_columns("model/dequantization=variational", image_width)
        under = "model.dequantization."
        at_least(
            1, under=under, num_couplings=num_couplings, context_width=context_width, context_blocks=context_blocks
        )
        couplings = FlowPPCouplings(
            width,
            num_blocks,
            num_components,
            heads,
            dropout,
            attention,
            coupling,
            pointwise,
            activate_output,
            context_channels=2 * context_width,
        )
        couplings.check(under)
        context = ContextNet(
            (channels, height, image_width), context_width, context_blocks, heads, dropout, context_attention
        )
        stack = couplings.stack((2 * channels, height, image_width // 2), num_couplings)
        super().__init__(levels, ColumnSplit(stack), context, reversible)
