"""i-ResNet: Invertible Residual Networks (Behrmann, Grathwohl, Chen, Duvenaud & Jacobsen, ICML 2019, 1811.00995)."""

import math
from collections.abc import Sequence

from genmodels.bijections import (
    ActNorm,
    Bijection,
    Compose,
    Diagonal,
    Flattened,
    Inverse,
    InvertibleResidual,
    LogDetEstimator,
    OnHalf,
    PowerSeries,
    Shift,
    Squeezed,
)
from genmodels.distributions import Dequantization
from genmodels.models.flows.invertible_residual_flow import InvertibleResidualFlow, conv_net, dense_net
from genmodels.models.scales import scales_for
from genmodels.networks.slope_one import ELU
from genmodels.ranges import at_least, between


class IResNet(InvertibleResidualFlow):
    """Scales of residual blocks x + g(x), Lip(g) < 1; half of the channels leave after each scale but the last.

        scale:  squeeze -> num_blocks times (actnorm -> residual block) -> split, the first half leaves
        block:  x + g(x),   g = ELU -> 3x3 -> ELU -> 1x1 -> ELU -> 3x3

    Section 5 and, for the sizes, official code (`dens_est_cifar.sh`): 3 scales of 16 blocks of width 512. The first
    block has no activation in front. The prior of all latents is one diagonal normal distribution, learned. With
    3x32x32 it has 25,028,544 parameters; the official code's 25,029,130 are these and 586 of a classifier, which its
    density estimation does not use. Vectors get one scale of fully connected blocks.

    Deviations from the official code: actnorm shifts before it scales, not after; evaluation does not take the 5
    biased terms of training, see `LogDetEstimator`; the inverse iterates to the precision of the type, not 100 times.

    Args:
        shape: (C, H, W) of even sides, or (D,).
        levels: number of pixel values, x in 0 .. levels - 1; None for continuous data.
        num_scales: of images; None for 3, or as many as the sides can be halved.
        num_blocks: residual blocks of each scale.
        width: hidden channels or units of a block.
        num_hidden: hidden layers of a block of vectors.
        lipschitz: largest Lipschitz constant of each layer of a block, c.
        power_iterations: of each layer in each training pass.
        log_det: how log-determinants are found; a power series of 5 terms unless given.
        dequantization: of the pixels; uniform unless given.
    Raises:
        UserError: a number is out of its range, or a shape that cannot be halved.
    """

    init_batch_size = 1024

    def __init__(
        self,
        shape: Sequence[int],
        levels: int | None,
        num_scales: int | None = None,
        num_blocks: int = 16,
        width: int = 512,
        num_hidden: int = 2,
        lipschitz: float = 0.9,
        power_iterations: int = 5,
        log_det: LogDetEstimator | None = None,
        dequantization: Dequantization | None = None,
    ) -> None:
        at_least(1, num_scales=num_scales, num_blocks=num_blocks, width=width, num_hidden=num_hidden)
        at_least(1, power_iterations=power_iterations)
        between(0.0, 1.0, lipschitz=lipschitz)
        estimator = log_det or PowerSeries()
        of_vectors = len(shape) == 1

        def block(shape: Sequence[int], is_first: bool) -> list[Bijection]:
            bound = (ELU, lipschitz, power_iterations, is_first)
            if of_vectors:
                net = dense_net(shape[0], width, num_hidden, *bound)
            else:
                net = conv_net(shape[0], (shape[1], shape[2]), width, *bound)
            return [ActNorm(shape[0], log_scale_factor=1.0), InvertibleResidual(net, estimator)]

        def stack(shape: Sequence[int], is_first: bool) -> list[Bijection]:
            return [step for index in range(num_blocks) for step in block(shape, is_first and index == 0)]

        def scale(shape: Sequence[int], remaining: int, is_first: bool = True) -> Bijection:
            channels, height, width = shape
            squeezed = (4 * channels, height // 2, width // 2)
            steps = stack(squeezed, is_first)
            if remaining > 1:
                rest = scale((2 * channels, *squeezed[1:]), remaining - 1, is_first=False)
                steps.append(OnHalf(rest, second=True))
            return Squeezed(Compose(steps), order="space_to_depth")

        prior: Bijection = Inverse(Diagonal(math.prod(shape)))
        if of_vectors:
            bijection = Compose([*stack(shape, is_first=True), prior])
        else:
            scales = scales_for("iresnet", shape, num_scales, wished=3, last_squeezes=True)
            bijection = Compose([Shift(-0.5), scale(shape, scales), Flattened(prior, shape)])
        super().__init__(bijection, shape, levels, dequantization=dequantization)
        self.chosen = {} if of_vectors or num_scales is not None else {"num_scales": scales}
