"""IAF: Inverse Autoregressive Flow (Kingma et al., NIPS 2016, arXiv:1606.04934)."""

import math
from collections.abc import Sequence
from typing import Literal

from genmodels.bijections import Inverse
from genmodels.distributions import Dequantization
from genmodels.models.data_checks import conditional_classes
from genmodels.models.flows.flow import Flow
from genmodels.models.flows.made_stack import from_data, gaussian_layers
from genmodels.ranges import at_least, between


class IAF(Flow):
    """A stack of MADEs that turn noise into data, each conditioning on the noise it takes in.

        x_i = (u_i - m_i) exp(-v_i / 2),   (m_i, v_i) = MADE(u_1 .. u_{i-1})     (Equation 10, in MAF's parametrisation)

    The layers of MAF the other way round: samples and the density of samples in one pass, the density of given points
    in D steps. The paper uses it as the posterior of a variational autoencoder; here it is a density model of its own,
    as in Papamakarios et al. 2017, Section 3.4. The order of the dimensions is reversed from layer to layer.
    Deviations: a layer is exactly the inverse of one of MAF, which has Equation 10's sigma = exp(-v / 2) and
    mu = -m sigma where the paper's network gives mu itself; and the paper's gate (Equation 12) is that plain exp here.

    Args:
        shape: (D,), or (C, H, W): images are read row by row behind a logit.
        levels: number of pixel values, None for continuous data.
        num_layers: MADEs.
        num_hidden: hidden layers of each.
        width: units of each hidden layer.
        activation: of the hidden units.
        alpha: of the logit for images.
        conditional: on the class, which every MADE sees.
        num_classes: of the data.
        dequantization: of pixels; uniform unless given.
    Raises:
        UserError: a number is out of its range, or there are no classes to condition on.
    """

    def __init__(
        self,
        shape: Sequence[int],
        levels: int | None,
        num_layers: int = 5,
        num_hidden: int = 2,
        width: int = 100,
        activation: Literal["relu", "tanh"] = "relu",
        alpha: float = 1e-6,
        conditional: bool = False,
        num_classes: int | None = None,
        dequantization: Dequantization | None = None,
    ) -> None:
        at_least(1, num_layers=num_layers, num_hidden=num_hidden, width=width)
        between(0.0, 0.5, alpha=alpha)
        classes = conditional_classes(conditional, num_classes)
        layers = gaussian_layers(math.prod(shape), num_layers, [width] * num_hidden, activation, classes)
        flow = from_data([Inverse(layer) for layer in layers], shape, alpha)
        super().__init__(flow, shape, levels, classes, dequantization=dequantization)
