"""Two-valued pixels around their own frequencies."""

from collections.abc import Sequence

import torch
from torch import Tensor

from genmodels.distributions.likelihood import Likelihood
from genmodels.distributions.pixels import Bernoulli
from genmodels.networks.data_init import DataInitialized

_RAREST = 0.001


class CentredBernoulli(Likelihood, DataInitialized):
    """P(x = 1) = sigmoid(c + params), where c is the logit of each pixel's frequency in the first batch.

    A network whose outputs are near nought then starts at the data's frequencies. It comes to the same as starting the
    bias of its last layer at c, as the official code of Burda et al. 2016 does (clipped to [0.001, 0.999], too).

    Raises:
        UserError: the data has more than two values.
    """

    centre: Tensor

    def __init__(self, shape: Sequence[int], levels: int | None) -> None:
        bernoulli = Bernoulli(shape, levels)
        super().__init__(shape, bernoulli.params_shape, bernoulli.noise_shape)
        self.bernoulli = bernoulli
        self.register_buffer("centre", torch.zeros(self.shape))

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        return self.bernoulli.log_prob(params + self._centre_of(x), x)

    def of_draws(self, params: Tensor, x: Tensor) -> Tensor:
        return self.bernoulli.of_draws(params + self._centre_of(x), x)

    def sample(self, params: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        return self.bernoulli.sample(params + self.centre, noise, temperature)

    def mean(self, params: Tensor) -> Tensor:
        return self.bernoulli.mean(params + self.centre)

    def _centre_of(self, x: Tensor) -> Tensor:
        if self.is_pending:
            frequencies = x.to(self.centre.dtype).mean(dim=0)
            self.centre.copy_(frequencies.clamp(_RAREST, 1 - _RAREST).logit())
            self._done()
        return self.centre
