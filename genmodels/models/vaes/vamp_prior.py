"""VampPrior: VAE with a VampPrior (Tomczak & Welling, AISTATS 2018, arXiv:1705.07120)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genmodels.distributions import Base
from genmodels.errors import UserError
from genmodels.models.vaes.posterior import Posterior
from genmodels.ranges import at_least


class VampPrior(Base):
    """p(z) = 1/K sum_k q(z | u_k), the posteriors of K learned pseudo-inputs (Equation 9).

    Pseudo-inputs of images start as N(0.05, 0.01) and are cut to [0, 1] as the official code does it, those of vectors
    start as N(0, 1). Draws choose k uniformly (the official code takes the first ones). A temperature shrinks the
    distance of a draw from the centre of its posterior.

    Args:
        shape: (Z,).
        data_shape: of one x.
        levels: number of pixel values; None for vectors.
        num_pseudo_inputs: K; 500 for MNIST.
    Raises:
        UserError: a number is out of its range.
    """

    def __init__(
        self, shape: Sequence[int], data_shape: Sequence[int], levels: int | None, num_pseudo_inputs: int = 500
    ) -> None:
        at_least(1, under="model.prior.", num_pseudo_inputs=num_pseudo_inputs)
        super().__init__(shape)
        start = torch.randn(num_pseudo_inputs, *data_shape)
        self.pseudo_inputs = nn.Parameter(start if levels is None else 0.05 + 0.01 * start)
        self._are_pixels = levels is not None

    def made_of(self, encoder: nn.Module, posterior: Posterior, num_classes: int) -> None:
        """Take the networks whose posteriors the components are; they stay the model's.

        Raises:
            UserError: they see classes.
        """
        if num_classes:
            raise UserError("model/prior=vamp has pseudo-inputs without classes: set model.conditional=false")
        self._inference = (encoder, posterior)  # a tuple, so that they are not registered twice

    def log_prob(self, z: Tensor) -> Tensor:
        _, posterior = self._inference
        log_components = posterior.pairs(z, self._features(self.pseudo_inputs))
        return log_components.logsumexp(dim=1).to(z.dtype) - math.log(len(self.pseudo_inputs))

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        chosen = torch.randint(len(self.pseudo_inputs), (n,), device=self.like.device)
        _, posterior = self._inference
        features = self._features(self.pseudo_inputs[chosen])
        return torch.lerp(posterior.centre(features), posterior.sample(features)[0], temperature)

    def _features(self, pseudo_inputs: Tensor) -> Tensor:
        encoder, _ = self._inference
        return encoder(pseudo_inputs.clamp(0, 1) if self._are_pixels else pseudo_inputs, None)
