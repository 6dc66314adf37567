"""MADE: Masked Autoencoder for Distribution Estimation (Germain et al., ICML 2015, arXiv:1502.03509)."""

import math
from collections.abc import Sequence
from typing import Literal

from genmodels.bijections import Autoregressive, GaussianConditional
from genmodels.distributions import Dequantization, MixtureMADE
from genmodels.models.flows.flow import Flow
from genmodels.models.flows.made_stack import from_data
from genmodels.networks.made_net import MADENet
from genmodels.ranges import at_least, between


class MADE(Flow):
    """One masked network gives all conditionals p(x_i | x_1 .. x_{i-1}) of real-valued data.

        Gaussian:   z_i = (x_i - m_i) exp(-v_i / 2) is standard normal
        mixture:    x_i ~ sum_k w_ik N(m_ik, exp(v_ik)), "MADE MoG"

    Both as in Papamakarios et al. 2017 (MAF), Section 4, whose tables have 10 components; the paper of MADE itself is
    about binary data. Official MAF code: one or two hidden layers, 100 to 1024 units each. With a mixture the latent
    is the data itself (behind the logit, for images), and not standard normal. Deviation: fresh dequantisation noise in
    every step, as in `MAF`.

    Args:
        shape: (D,), or (C, H, W): images are read row by row.
        levels: number of pixel values, None for continuous data.
        num_components: of each conditional; 1 for a Gaussian.
        num_hidden: hidden layers.
        width: units of each.
        activation: of the hidden units.
        degrees: of the hidden units, see `MADENet`.
        alpha: of the logit for images.
        dequantization: of pixels; uniform unless given.
    Raises:
        UserError: a number is out of its range.
    """

    def __init__(
        self,
        shape: Sequence[int],
        levels: int | None,
        num_components: int = 1,
        num_hidden: int = 2,
        width: int = 512,
        activation: Literal["relu", "tanh"] = "relu",
        degrees: Literal["sequential", "random"] = "sequential",
        alpha: float = 1e-6,
        dequantization: Dequantization | None = None,
    ) -> None:
        at_least(1, num_components=num_components, num_hidden=num_hidden, width=width)
        between(0.0, 0.5, alpha=alpha)
        features = math.prod(shape)
        outputs = 2 if num_components == 1 else 3 * num_components
        net = MADENet(features, outputs, [width] * num_hidden, degrees=degrees, activation=activation)
        steps = [Autoregressive(net, GaussianConditional())] if num_components == 1 else []
        base = None if num_components == 1 else MixtureMADE(shape, net, num_components)
        super().__init__(from_data(steps, shape, alpha), shape, levels, base=base, dequantization=dequantization)
