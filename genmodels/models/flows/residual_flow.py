"""Residual Flows for Invertible Generative Modeling (Chen, Behrmann, Duvenaud & Jacobsen, NeurIPS 2019, 1906.02735)."""

import math
from collections.abc import Sequence
from typing import Literal

from genmodels.bijections import (
    ActNorm,
    Bijection,
    Compose,
    FactorOut,
    Flattened,
    InvertibleResidual,
    LogDetEstimator,
    Logit,
    RussianRoulette,
    Squeezed,
)
from genmodels.distributions import Dequantization
from genmodels.errors import UserError
from genmodels.models.data_checks import image_shape
from genmodels.models.flows.invertible_residual_flow import InvertibleResidualFlow, conv_net, dense_net
from genmodels.models.scales import scales_for
from genmodels.networks.contraction import Contraction
from genmodels.networks.slope_one import ELU, LipSwish
from genmodels.ranges import at_least, between

_ACTIVATIONS = {"lipswish": LipSwish, "elu": ELU}


class ResidualFlow(InvertibleResidualFlow):
    """Scales of residual blocks x + g(x), Lip(g) < 1, trained by an unbiased estimate of the log-likelihood.

        logit -> actnorm -> num_blocks times (residual block -> actnorm) -> squeeze -> the same -> squeeze -> the same
              -> 4 times (fully connected residual block -> actnorm)
        block:  x + g(x),   g = LipSwish -> 3x3 -> LipSwish -> 1x1 -> LipSwish -> 3x3

    Section 5, Appendix E and, for the sizes, official code: 3 scales of 16 blocks of width 512, fully connected blocks
    of two hidden layers of 128 units; 32 blocks for ImageNet, at 64x64 squeezed first and with half of the channels
    leaving at each squeeze. The first block has no activation in front. With 3x32x32 it has 25,174,233 parameters, with
    1x28x28 16,608,693; all but 104 are trained, see `RussianRoulette`. Vectors get one scale of fully connected blocks.

    Deviations from the official code: power iteration ends when the singular value has settled to a thousandth (there
    when its vectors move by less than 0.001 a dimension, which those of images always do), evaluation takes it to
    convergence and small blocks exactly, and the value of the training loss is an estimate of the log-likelihood.

    Args:
        shape: (C, H, W), or (D,).
        levels: number of pixel values, x in 0 .. levels - 1; None for continuous data.
        num_scales: of images; None for 3, or as many as the sides can be halved.
        num_blocks: residual blocks of each scale.
        width: hidden channels or units of a block.
        num_hidden: hidden layers of fully connected blocks.
        dense_blocks: fully connected blocks behind the last scale of images.
        dense_width: their hidden units.
        activation: "lipswish" or "elu" (Table 3's ablation).
        lipschitz: largest Lipschitz constant of each layer of a block, c.
        alpha: of the logit for images: 1e-6 for MNIST, 0.05 for the others.
        squeeze_first: squeeze the pixels before the first scale.
        factor_out: let half of the channels leave at each squeeze between scales.
        log_det: how log-determinants are found; Russian roulette unless given.
        dequantization: of the pixels; uniform unless given.
    Raises:
        UserError: a number is out of its range, or a shape that cannot be halved.
    """

    def __init__(
        self,
        shape: Sequence[int],
        levels: int | None,
        num_scales: int | None = None,
        num_blocks: int = 16,
        width: int = 512,
        num_hidden: int = 2,
        dense_blocks: int = 4,
        dense_width: int = 128,
        activation: Literal["lipswish", "elu"] = "lipswish",
        lipschitz: float = 0.98,
        alpha: float = 0.05,
        squeeze_first: bool = False,
        factor_out: bool = False,
        log_det: LogDetEstimator | None = None,
        dequantization: Dequantization | None = None,
    ) -> None:
        at_least(1, num_scales=num_scales, num_blocks=num_blocks, width=width, num_hidden=num_hidden)
        at_least(1, dense_width=dense_width)
        at_least(0, dense_blocks=dense_blocks)
        between(0.0, 1.0, lipschitz=lipschitz)
        between(0.0, 0.5, alpha=alpha)
        estimator = log_det or RussianRoulette()
        bound = (_ACTIVATIONS[activation], lipschitz, None)

        def step(channels: int, net: Contraction) -> list[Bijection]:
            return [InvertibleResidual(net, estimator), _actnorm(channels)]

        def dense(features: int, count: int, width: int, is_first: bool = False) -> list[Bijection]:
            nets = [dense_net(features, width, num_hidden, *bound, is_first and i == 0) for i in range(count)]
            return [layer for net in nets for layer in step(features, net)]

        def scale(shape: Sequence[int], remaining: int, is_first: bool = True) -> Bijection:
            channels, height, width_of_image = shape
            size = (height, width_of_image)
            nets = [conv_net(channels, size, width, *bound, is_first and i == 0) for i in range(num_blocks)]
            steps = [layer for net in nets for layer in step(channels, net)]
            if remaining > 1:
                channels_left = 2 * channels if factor_out else 4 * channels
                rest = scale((channels_left, height // 2, width_of_image // 2), remaining - 1, is_first=False)
                steps.append(Squeezed(FactorOut(rest) if factor_out else rest))
            elif dense_blocks:
                steps.append(Flattened(Compose(dense(math.prod(shape), dense_blocks, dense_width)), shape))
            return Compose(steps)

        if len(shape) == 1:
            bijection = Compose([_actnorm(shape[0]), *dense(shape[0], num_blocks, width, is_first=True)])
            super().__init__(bijection, shape, levels, dequantization=dequantization)
            return
        channels, height, width_of_image = image_shape("residual_flow", shape)
        if squeeze_first and (height % 2 or width_of_image % 2):
            raise UserError(
                f"model.squeeze_first=true halves the images, and {height}x{width_of_image} cannot be halved: "
                "set it to false"
            )
        inner = (4 * channels, height // 2, width_of_image // 2) if squeeze_first else tuple(shape)
        scales = scales_for("residual_flow", inner, num_scales, wished=3, last_squeezes=False)
        flow = Compose([_actnorm(inner[0]), scale(inner, scales)])
        bijection = Compose([Logit(alpha), Squeezed(flow) if squeeze_first else flow])
        super().__init__(bijection, shape, levels, dequantization=dequantization)
        self.chosen = {"num_scales": scales} if num_scales is None else {}


def _actnorm(channels: int) -> ActNorm:
    return ActNorm(channels, log_scale_factor=1.0, smallest_variance=0.2)
