"""MAF with a mixture-of-Gaussians MADE as its base (Papamakarios et al. 2017, "MAF MoG")."""

import math
from collections.abc import Sequence
from typing import Literal

from genmodels.distributions import Dequantization, MixtureMADE
from genmodels.errors import UserError
from genmodels.models.flows.autoregressive_stack import alternating_order
from genmodels.models.flows.maf import MAF
from genmodels.networks.made_net import MADENet


class MAFMoG(MAF):
    """MAF whose last noise is not standard normal but modelled by a MADE with mixtures as conditionals.

    Section 4 and official code: 5 MADEs and one MADE MoG of 10 components, all of the same hidden layers, the order of
    the dimensions reversed once more in front of the last. So latents are not standard normal: `encode` and
    temperature speak of the noise that the mixture describes.

    Args: as of `MAF` less the classes, which the mixture could not see, and
        num_components: of the mixtures.
    """

    def __init__(
        self,
        shape: Sequence[int],
        levels: int | None,
        num_layers: int = 5,
        num_components: int = 10,
        num_hidden: int = 2,
        width: int = 512,
        activation: Literal["relu", "tanh"] = "relu",
        degrees: Literal["sequential", "random"] = "sequential",
        batch_norm: bool = True,
        alpha: float = 1e-6,
        dequantization: Dequantization | None = None,
    ) -> None:
        if min(num_components, num_hidden, width) < 1:
            raise UserError("model.num_components, model.num_hidden and model.width must be at least 1.")
        features = math.prod(shape)
        order = alternating_order(features, num_layers)
        net = MADENet(features, 3 * num_components, [width] * num_hidden, order, degrees, activation)
        base = MixtureMADE(shape, net, num_components)
        super().__init__(
            shape,
            levels,
            num_layers,
            num_hidden,
            width,
            activation,
            degrees,
            batch_norm,
            alpha,
            dequantization=dequantization,
            base=base,
        )
