"""VAE: Auto-Encoding Variational Bayes (Kingma & Welling, ICLR 2014, 1312.6114; Rezende, Mohamed & Wierstra 2014)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from genmodels.distributions import Base, Likelihood
from genmodels.models.terms import Gradient, Terms
from genmodels.models.vaes.latent_vectors import LatentVectorModel
from genmodels.models.vaes.networks import Networks
from genmodels.models.vaes.posterior import Posterior
from genmodels.models.vaes.vamp_prior import VampPrior


class VAE(LatentVectorModel):
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
        super().__init__(shape, levels, posterior, prior, likelihood, conditional, num_classes)
        self.posterior, self.latent_shape = posterior, (posterior.num_latents,)
        self.encoder = networks.encoder(shape, posterior.num_features, self.num_classes)
        self.decoder = networks.decoder(posterior.num_latents, likelihood.params_shape, self.num_classes)
        if isinstance(prior, VampPrior):
            prior.made_of(self.encoder, posterior, self.num_classes)

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
    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The centre of q(z | x), [B, Z]; no randomness."""
        return self.posterior.centre(self.posterior_features(x, y))

    def _draws(self, n: int, context: Tensor | None, temperature: float) -> Tensor:
        return self.prior.sample(n, temperature)
