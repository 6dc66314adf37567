"""What models share whose latents are vectors that one network decodes."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from genmodels.distributions import Base, Likelihood
from genmodels.errors import UserError
from genmodels.models.data_checks import conditional_classes
from genmodels.models.vaes.latent_variable_model import LatentVariableModel
from genmodels.models.vaes.posterior import Posterior


class LatentVectorModel(LatentVariableModel):
    """p(x | z) is a likelihood whose parameters `decoder` makes of z and of the label, for a conditional model.

    Args:
        shape: (C, H, W), or (D,).
        levels: number of pixel values; None for vectors.
        posterior: q of the latents that have no others above them.
        prior: p of the same.
        likelihood: p(x | z) given the decoder's outputs.
        conditional: all networks see the label.
        num_classes: of the data.
    Attributes:
        decoder: called with z [B, Z] and one-hot labels or None, gives [B, *likelihood.params_shape].
    Raises:
        UserError: there are no classes to condition on, or prior and posterior are of different sizes.
    """

    decoder: nn.Module

    def __init__(
        self,
        shape: Sequence[int],
        levels: int | None,
        posterior: Posterior,
        prior: Base,
        likelihood: Likelihood,
        conditional: bool = False,
        num_classes: int | None = None,
    ) -> None:
        if prior.shape != (posterior.num_latents,):
            raise UserError(
                f"model.prior is of shape {list(prior.shape)}, and model.posterior.num_latents={posterior.num_latents}"
            )
        super().__init__()
        self.shape = tuple(shape)
        self.levels = levels
        self.num_classes = conditional_classes(conditional, num_classes)
        self.prior, self.likelihood = prior, likelihood

    @property
    def protocol(self) -> Mapping[str, Any]:
        return self.likelihood.protocol

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """`n` draws of x ~ p(x | z), z ~ p(z) at the given temperature.

        Args:
            y: [n] labels; for a class-conditional model without them, drawn uniformly.
        Returns: uint8 [n, C, H, W], or float vectors [n, D].
        """
        if self.num_classes and y is None:
            y = torch.randint(self.num_classes, (n,), device=self.prior.like.device)
        context = self._one_hot(y)
        z = self._draws(n, context, temperature)
        noise = torch.rand(n, *self.likelihood.noise_shape, dtype=z.dtype, device=z.device)
        return self._data(self.likelihood.sample(self.decoder(z, context), noise))

    @torch.no_grad()
    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The likeliest x given z, or the means of its components, in the data's own type; no randomness."""
        params = self.decoder(z, self._one_hot(y))
        noise = torch.full((len(z), *self.likelihood.noise_shape), 0.5, dtype=z.dtype, device=z.device)
        return self._data(self.likelihood.sample(params, noise, temperature=0.0))

    @torch.no_grad()
    def decode_mean(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """E[x | z]: floats [B, *shape], pixels from 0 to levels - 1."""
        return self.likelihood.mean(self.decoder(z, self._one_hot(y)))

    @abstractmethod
    def _draws(self, n: int, context: Tensor | None, temperature: float) -> Tensor:
        """`n` draws of p(z), [n, Z], for one-hot labels."""

    def _values(self, x: Tensor) -> Tensor:
        """What networks see of x: pixels from 0 to 1."""
        x = x.to(self._dtype)
        return x if self.levels is None else x / (self.levels - 1)

    def _data(self, x: Tensor) -> Tensor:
        return x if self.levels is None else x.to(torch.uint8)
