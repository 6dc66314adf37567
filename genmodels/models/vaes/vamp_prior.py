"""VampPrior: VAE with a VampPrior (Tomczak & Welling, AISTATS 2018, arXiv:1705.07120)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genmodels.distributions import Base
from genmodels.errors import UserError
from genmodels.models.vaes.posterior import Posterior
from genmodels.ranges import at_least

_MEAN, _DEVIATION = 0.05, 0.01  # of the pseudo-inputs at the start, as in the official code


class VampPrior(Base):
    """The mixture of the posteriors of K pseudo-inputs, which are learned: p(z) = 1/K sum_k q(z | u_k) (Equation 9).

    Pseudo-inputs are what the encoder sees: pixels kept from 0 to 1, or vectors. The encoder is shared, so it learns
    from the prior as well. A draw takes one of them, each as often as the others; a temperature multiplies its distance
    from the centre of that q(z | u_k).

    The density takes all q(z | u_k) at every z: a matrix product for a diagonal q, K inverses of a flow.

    Args:
        shape: of one z, (Z,).
        data_shape: of one x.
        levels: of the data; None for vectors.
        num_components: K.
    """

    def __init__(
        self, shape: Sequence[int], data_shape: Sequence[int], levels: int | None, num_components: int = 500
    ) -> None:
        at_least(1, under="model.prior.", num_components=num_components)
        super().__init__(shape)
        start = _MEAN + _DEVIATION * torch.randn(num_components, *data_shape)
        self.inputs = nn.Parameter(start if levels is not None else torch.randn(num_components, *data_shape))
        self.is_bounded = levels is not None
        # In a tuple: as attributes they would be modules of the prior's own, and saved twice.
        self._inference: tuple[nn.Module, Posterior] | None = None

    def made_of(self, encoder: nn.Module, posterior: Posterior, num_classes: int) -> None:
        """Take q, that of the model whose prior it is; copies of that model keep it among themselves.

        Args:
            encoder: from pseudo-inputs and no context to features.
            posterior: q(z | x) given these.
            num_classes: that the encoder sees.
        Raises:
            UserError: it sees classes.
        """
        if num_classes:
            raise UserError("model/prior=vamp has pseudo-inputs without labels: set model.conditional=false")
        self._inference = (encoder, posterior)

    def log_prob(self, z: Tensor) -> Tensor:
        features, posterior = self.components()
        return (posterior.pairs(z, features).logsumexp(dim=1) - math.log(len(features))).to(z.dtype)

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        features, posterior = self.components()
        chosen = features[torch.randint(len(features), (n,), device=features.device)]
        centre = posterior.centre(chosen)
        return centre + temperature * (posterior.sample(chosen)[0] - centre)

    def components(self) -> tuple[Tensor, Posterior]:
        """The features of the pseudo-inputs, [K, F], and the posterior that they belong to."""
        if self._inference is None:
            raise UserError("model/prior=vamp is made of an encoder: it is a prior of model=vae alone")
        encoder, posterior = self._inference
        inputs = self.inputs.clamp(0.0, 1.0) if self.is_bounded else self.inputs
        return encoder(inputs, None), posterior
