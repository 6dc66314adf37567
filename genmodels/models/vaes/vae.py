"""VAE: Auto-Encoding Variational Bayes (Kingma & Welling, ICLR 2014, 1312.6114; Rezende, Mohamed & Wierstra 2014)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from genmodels.distributions import Base, Likelihood
from genmodels.errors import UserError
from genmodels.models.data_checks import conditional_classes
from genmodels.models.terms import Gradient, Terms
from genmodels.models.vaes.latent_variable_model import LatentVariableModel
from genmodels.models.vaes.networks import Networks
from genmodels.models.vaes.posterior import Posterior
from genmodels.models.vaes.vamp_prior import VampPrior


class VAE(LatentVariableModel):
    """p(x) = integral of p(x | z) p(z) dz with one layer of latents, and q(z | x) by a network.

        log w = log p(x | z) + log p(z) - log q(z | x),   z ~ q(z | x),   E[log w] <= log p(x)   (Equation 2)

    Posterior, prior, likelihood and networks are parts to choose. The encoder sees pixels as numbers from 0 to 1.

    Args:
        shape: (C, H, W), or (D,).
        levels: number of pixel values; None for vectors.
        networks: the kind of encoder and decoder.
        posterior: q(z | x) given the encoder's features.
        prior: p(z), of shape (Z,).
        likelihood: p(x | z) given the decoder's outputs.
        conditional: encoder and decoder see the label.
        num_classes: of the data.
    Raises:
        UserError: there are no classes to condition on, prior and posterior are of different sizes, or a VampPrior
            meets a class-conditional model.
    """

    def __init__(
        self,
        shape: Sequence[int],
        levels: int | None,
        networks: Networks,
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
        self.posterior, self.prior, self.likelihood = posterior, prior, likelihood
        self.encoder = networks.encoder(shape, posterior.num_features, self.num_classes)
        self.decoder = networks.decoder(posterior.num_latents, likelihood.params_shape, self.num_classes)
        if isinstance(prior, VampPrior):
            if self.num_classes:
                raise UserError("model/prior=vamp has pseudo-inputs without labels: set model.conditional=false")
            prior.bind(self.encoder, posterior)

    @property
    def protocol(self) -> Mapping[str, Any]:
        return self.likelihood.protocol

    def terms(
        self, x: Tensor, y: Tensor | None = None, samples: int = 1, gradient: Gradient = "reparametrised"
    ) -> Terms:
        """See `Terms`; one layer of latents, [K, B, Z]. The encoder runs once for all draws."""
        features = self.posterior_features(x, y)
        rows = features.repeat(samples, 1)
        drawn, log_q = self.posterior.sample(rows)
        latents = drawn.view(samples, len(x), -1)
        if gradient == "score":
            latents = latents.detach()
            log_q = self.posterior(latents.flatten(0, 1), rows)
        elif gradient == "sticking":
            stopped = {name: value.detach() for name, value in self.posterior.named_parameters()}
            log_q = functional_call(self.posterior, stopped, (latents.flatten(0, 1), rows.detach()))
        z, context = latents.flatten(0, 1), self._one_hot(y)
        params = self.decoder(z, None if context is None else context.repeat(samples, 1))
        log_ratio = log_q - self.prior.log_prob(z)
        log_ratios = log_ratio.view(samples, -1, 1)
        kl = self.posterior.kl(features, self.prior)
        return Terms(
            self.likelihood.of_draws(params, x),
            [log_ratios],
            [log_ratios.mean(dim=0) if kl is None else kl],
            log_q.view(samples, -1),
            [latents],
        )

    def posterior_features(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """What q(z | x) is made of: `posterior(z, posterior_features(x))` is log q(z | x). [B, *shape] -> [B, F]."""
        return self.encoder(self._values(x), self._one_hot(y))

    def log_joint(self, x: Tensor, z: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(x, z). Shapes: x [B, *shape], z [B, Z] -> [B], nats."""
        return self.likelihood.of_draws(self.decoder(z, self._one_hot(y)), x)[0] + self.prior.log_prob(z)

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """`n` draws of x ~ p(x | z), z ~ p(z) at the given temperature.

        Args:
            y: [n] labels; for a class-conditional model without them, drawn uniformly.
        Returns: uint8 [n, C, H, W], or float vectors [n, D].
        """
        z = self.prior.sample(n, temperature)
        if self.num_classes and y is None:
            y = torch.randint(self.num_classes, (n,), device=z.device)
        params = self.decoder(z, self._one_hot(y))
        noise = torch.rand(n, *self.likelihood.noise_shape, dtype=z.dtype, device=z.device)
        return self._data(self.likelihood.sample(params, noise))

    @torch.no_grad()
    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The centre of q(z | x), [B, Z]; no randomness."""
        return self.posterior.centre(self.posterior_features(x, y))

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

    def _values(self, x: Tensor) -> Tensor:
        x = x.to(self._dtype)
        return x if self.levels is None else x / (self.levels - 1)

    def _data(self, x: Tensor) -> Tensor:
        return x if self.levels is None else x.to(torch.uint8)
