"""RealNVP: Density Estimation using Real NVP (Dinh, Sohl-Dickstein & Bengio, ICLR 2017, arXiv:1605.08803)."""

from collections.abc import Sequence

from torch import nn

from genmodels.bijections import (
    Bijection,
    Compose,
    Coupling,
    FactorOut,
    FlowBatchNorm,
    Logit,
    MaskedCoupling,
    OnHalf,
    Squeezed,
    TanhAffine,
    checkerboard,
)
from genmodels.distributions import Dequantization
from genmodels.models.data_checks import image_shape
from genmodels.models.flows.flow import Flow
from genmodels.models.flows.realnvp_net import RealNVPNet
from genmodels.models.scales import scales_for
from genmodels.networks.conv import NormalizedConv2d
from genmodels.ranges import at_least, between


class RealNVP(Flow):
    """Affine couplings with alternating checkerboard and channel masks in a multi-scale architecture.

        every scale but the last:  3 checkerboard couplings -> squeeze -> 3 channel couplings -> unsqueeze ->
                                   factor out the anti-diagonal pixels of each 2x2 block
        the last scale:            4 checkerboard couplings

    Section 3.6, 4.1 and official code. Each coupling is followed by a batch norm of what it changed (Section 3.7).
    CIFAR-10: num_scales=2, width=64, num_blocks=8; ImageNet 32x32: 4, 32, 4; 64x64 sets: 5, 32, 2. The width doubles
    with every scale and again after every squeeze.

    Deviation: the batch norm after a checkerboard coupling takes its statistics over the changed pixels only, see
    `FlowBatchNorm`.

    Args:
        shape: (C, H, W), H and W divisible by 2^(num_scales - 1) and at least 2^num_scales.
        levels: number of pixel values, x in 0 .. levels - 1.
        num_scales: resolutions, one squeeze fewer; None for the 2 of CIFAR-10, or 1 where the sides cannot be halved.
        width: hidden channels at the first scale.
        num_blocks: residual blocks of each coupling network.
        alpha: of the logit preprocessing; 0.05 is the paper's data_constraint 0.9.
        dequantization: of the pixels; uniform unless given.
        reversible: recompute activations in the backward pass instead of keeping them, see `Flow`.
    Raises:
        UserError: a number out of its range, or a shape that `num_scales` cannot divide.
    """

    takes = frozenset(("images",))

    def __init__(
        self,
        shape: Sequence[int],
        levels: int,
        num_scales: int | None = None,
        width: int = 64,
        num_blocks: int = 8,
        alpha: float = 0.05,
        dequantization: Dequantization | None = None,
        reversible: bool = False,
    ) -> None:
        at_least(1, num_scales=num_scales, width=width, num_blocks=num_blocks)
        between(0.0, 0.5, alpha=alpha)
        channels, height, width_of_image = image_shape("realnvp", shape)
        scales = scales_for("realnvp", shape, num_scales, wished=2, last_squeezes=False)

        def flow(channels: int, size: tuple[int, int], width: int, remaining: int) -> Bijection:
            num_couplings = 4 if remaining == 1 else 3
            board = [
                _checkerboard_coupling(channels, size, width, num_blocks, flip=bool(i % 2))
                for i in range(num_couplings)
            ]
            if remaining == 1:
                return Compose(board)
            channelwise = Compose(
                _channel_coupling(4 * channels, 2 * width, num_blocks, swap=bool(i % 2)) for i in range(3)
            )
            rest = flow(2 * channels, (size[0] // 2, size[1] // 2), 2 * width, remaining - 1)
            return Compose([*board, Squeezed(channelwise), Squeezed(FactorOut(rest), order="diagonal")])

        bijection = Compose([Logit(alpha), flow(channels, (height, width_of_image), width, scales)])
        super().__init__(bijection, shape, levels, dequantization=dequantization, reversible=reversible)
        self.chosen = {"num_scales": scales} if num_scales is None else {}

    def decayed_parameters(self) -> list[nn.Parameter]:
        """What the paper's L2 penalty of 5e-5 applies to: weight-norm magnitudes and checkerboard couplings' scales."""
        magnitudes = [
            m.magnitude for m in self.modules() if isinstance(m, NormalizedConv2d) and m.magnitude is not None
        ]
        scales = [
            m.elementwise.scale
            for m in self.modules()
            if isinstance(m, MaskedCoupling) and isinstance(m.elementwise, TanhAffine)
        ]
        return [*magnitudes, *scales]


def _checkerboard_coupling(channels: int, size: tuple[int, int], width: int, num_blocks: int, flip: bool) -> Bijection:
    mask = checkerboard(*size, flip=flip)
    net = RealNVPNet(channels, 2 * channels, width, num_blocks, mask)
    return Compose([MaskedCoupling(net, TanhAffine(0.0), mask), FlowBatchNorm(channels, 1.0 - mask)])


def _channel_coupling(channels: int, width: int, num_blocks: int, swap: bool) -> Bijection:
    net = RealNVPNet(channels // 2, channels, width, num_blocks)
    norm_of_changed = OnHalf(FlowBatchNorm(channels // 2), second=not swap)
    return Compose([Coupling(net, TanhAffine(1.0), swap=swap), norm_of_changed])
