"""IAF: Inverse Autoregressive Flow (Kingma et al., NIPS 2016, arXiv:1606.04934)."""

import math
from collections.abc import Sequence
from typing import Literal

from genmodels.bijections import Autoregressive, GaussianConditional, Inverse
from genmodels.distributions import Dequantization
from genmodels.errors import UserError
from genmodels.models.flows.autoregressive_stack import alternating_order, from_data
from genmodels.models.flows.flow import Flow, conditional_classes
from genmodels.networks.made import MADENet


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
        UserError: a number that must be at least 1 is not, or there are no classes to condition on.
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
        if min(num_layers, num_hidden, width) < 1:
            raise UserError("model.num_layers, model.num_hidden and model.width must be at least 1.")
        classes = conditional_classes(conditional, num_classes)
        features = math.prod(shape)
        steps = []
        for layer in range(num_layers):
            order = alternating_order(features, layer)
            net = MADENet(features, 2, [width] * num_hidden, order, activation=activation, context_features=classes)
            steps.append(Inverse(Autoregressive(net, GaussianConditional())))
        super().__init__(from_data(steps, shape, alpha), shape, levels, classes, dequantization=dequantization)
