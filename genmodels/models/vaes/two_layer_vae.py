"""The VAE with two layers of IWAE: Importance Weighted Autoencoders (Burda et al., ICLR 2016, arXiv:1509.00519)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from genmodels.distributions import Base, Likelihood
from genmodels.errors import UserError
from genmodels.models.terms import Gradient
from genmodels.models.vaes.networks import Networks
from genmodels.models.vaes.posterior import Diagonal, Posterior
from genmodels.models.vaes.two_layers import Conditional, Drawn, TwoLayerModel
from genmodels.models.vaes.vamp_prior import VampPrior
from genmodels.networks.mlp import MLP
from genmodels.ranges import at_least


class TwoLayerVAE(TwoLayerModel):
    """p(x) = integral of p(z2) p(z1 | z2) p(x | z1), inferred by q(z1 | x) q(z2 | z1).

    In the paper z1 has 100 numbers and z2 has 50; between the data and z1 lie 200 and 200 tanh units either way,
    between z1 and z2 100 and 100. Deviation: the official code takes every divergence from draws; that of q(z2 | z1)
    from a standard normal prior is a closed form here.

    Args:
        shape: (C, H, W), or (D,).
        levels: number of pixel values; None for vectors.
        networks: the kind of encoder to z1 and of decoder from it.
        posterior: q(z2 | z1) given a network's features.
        prior: p(z2), of shape (Z2,).
        likelihood: p(x | z1) given the decoder's outputs.
        num_latents: of z1, normal and independent given x, and given z2.
        width: tanh units of a hidden layer between z1 and z2.
        num_hidden: such layers.
        conditional: all networks see the label.
        num_classes: of the data.
    Raises:
        UserError: a number is out of its range, there are no classes to condition on, prior and posterior are of
            different sizes, or the prior is a VampPrior.
    """

    def __init__(
        self,
        shape: Sequence[int],
        levels: int | None,
        networks: Networks,
        posterior: Posterior,
        prior: Base,
        likelihood: Likelihood,
        num_latents: int = 100,
        width: int = 100,
        num_hidden: int = 2,
        conditional: bool = False,
        num_classes: int | None = None,
    ) -> None:
        at_least(1, num_latents=num_latents, width=width, num_hidden=num_hidden)
        if isinstance(prior, VampPrior):
            raise UserError("model/prior=vamp needs q(z2 | x), and model=vae_2layer has q(z2 | z1): choose model=hvae")
        super().__init__(shape, levels, posterior, prior, likelihood, conditional, num_classes)

        def perceptron(in_features: int, out_features: int) -> MLP:
            return MLP(in_features, out_features, width, num_hidden, self.num_classes, torch.nn.Tanh)

        self.latent_shape = (num_latents,)
        lower, upper = Diagonal(num_latents), posterior
        self.q1 = Conditional(networks.encoder(shape, lower.num_features, self.num_classes), lower)
        self.q2 = Conditional(perceptron(num_latents, upper.num_features), upper)
        self.p1 = Conditional(perceptron(upper.num_latents, lower.num_features), lower)
        self.decoder = networks.decoder(num_latents, likelihood.params_shape, self.num_classes)

    @torch.no_grad()
    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The mean of q(z1 | x), [B, Z1], on which x depends alone; no randomness."""
        return self.q1.centre(self._values(x), self._one_hot(y))

    def _inferred(
        self, values: Tensor, context: Tensor | None, repeated: Tensor | None, samples: int, gradient: Gradient
    ) -> tuple[Drawn, Drawn]:
        lower = self.q1.draw(values, context, examples=len(values), samples=samples, gradient=gradient)
        upper = self.q2.draw(lower.rows, repeated, examples=len(values), samples=samples, gradient=gradient)
        return lower, upper

    def _seen(self, lower: Tensor, upper: Tensor) -> Tensor:
        return lower
