"""HVAE: the two layers of VampPrior (Tomczak & Welling, AISTATS 2018, arXiv:1705.07120, Section 4)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genmodels.distributions import Base, Likelihood
from genmodels.models.terms import Gradient
from genmodels.models.vaes.gated_mlp_networks import GatedMLPNetworks
from genmodels.models.vaes.posterior import Diagonal, Posterior
from genmodels.models.vaes.two_layers import Conditional, Drawn, TwoLayerModel
from genmodels.models.vaes.vamp_prior import VampPrior
from genmodels.networks.gated_mlp import GatedLinear, GatedMLP, he_normal
from genmodels.ranges import at_least

_LOG_SCALES = (-3.0, 1.0)


class HVAE(TwoLayerModel):
    """p(x) = integral of p(z2) p(z1 | z2) p(x | z1, z2), inferred by q(z2 | x) q(z1 | x, z2).

    Since z2 is inferred from x, its prior can be a VampPrior, and no layer has to stay unused. All networks have two
    gated layers; where one has two inputs, its first layer is one for each.

    Deviation from the official code: the divergence from a standard normal prior is a closed form, there of draws.

    Args:
        shape: (C, H, W), or (D,).
        levels: number of pixel values; None for vectors.
        posterior: q(z2 | x) given a network's features.
        prior: p(z2), of shape (Z2,).
        likelihood: p(x | z1, z2) given the decoder's outputs.
        num_latents: of z1, normal and independent given x and z2, and given z2, their log-variances cut to [-6, 2].
        width: units of every hidden layer.
        conditional: all networks see the label.
        num_classes: of the data.
    Raises:
        UserError: a number is out of its range, there are no classes to condition on, prior and posterior are of
            different sizes, or classes meet a VampPrior.
    """

    def __init__(
        self,
        shape: Sequence[int],
        levels: int | None,
        posterior: Posterior,
        prior: Base,
        likelihood: Likelihood,
        num_latents: int = 40,
        width: int = 300,
        conditional: bool = False,
        num_classes: int | None = None,
    ) -> None:
        at_least(1, num_latents=num_latents, width=width)
        super().__init__(shape, levels, posterior, prior, likelihood, conditional, num_classes)
        self.latent_shape = (num_latents + posterior.num_latents,)
        lower, upper, classes = Diagonal(num_latents, _LOG_SCALES), posterior, self.num_classes
        inputs, above = math.prod(shape), upper.num_latents + classes
        encoder = GatedMLPNetworks(width).encoder(shape, upper.num_features, classes)
        self.q2 = Conditional(encoder, upper)
        self.q1 = Conditional(_Joined(inputs, above, lower.num_features, width), lower)
        self.p1 = Conditional(GatedMLP(upper.num_latents, lower.num_features, width, 2, classes), lower)
        self.decoder = _Decoder(num_latents, above, likelihood.params_shape, width)
        if isinstance(prior, VampPrior):
            prior.made_of(encoder, upper, classes)

    @torch.no_grad()
    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The means of q(z2 | x) and of q(z1 | x, z2) at that z2, z1 first: [B, Z1 + Z2]; no randomness."""
        values, context = self._values(x), self._one_hot(y)
        upper = self.q2.centre(values, context)
        return self._seen(self.q1.centre(values, upper, context), upper)

    def _inferred(
        self, values: Tensor, context: Tensor | None, repeated: Tensor | None, samples: int, gradient: Gradient
    ) -> tuple[Drawn, Drawn]:
        upper = self.q2.draw(values, context, examples=len(values), samples=samples, gradient=gradient)
        lower = self.q1.draw(values, upper.rows, repeated, examples=len(values), samples=samples, gradient=gradient)
        return lower, upper

    def _seen(self, lower: Tensor, upper: Tensor) -> Tensor:
        return torch.cat((lower, upper), dim=1)


class _Joined(nn.Module):
    """A gated layer for each of two inputs, one for both and a linear output; labels go with the second input.

    Shapes: first [B, ...], second [K * B, ...], context [K * B, E] or None -> [K * B, out_features].
    """

    def __init__(self, first: int, second: int, out_features: int, width: int) -> None:
        super().__init__()
        self.first, self.second = GatedLinear(first, width), GatedLinear(second, width)
        self.both = GatedLinear(2 * width, width)
        self.output = he_normal(nn.Linear(width, out_features))

    def forward(self, first: Tensor, second: Tensor, context: Tensor | None) -> Tensor:
        second = self.second(second if context is None else torch.cat((second, context), dim=1))
        first = self.first(first.flatten(1)).repeat(len(second) // len(first), 1)
        return self.output(self.both(torch.cat((first, second), dim=1)))


class _Decoder(nn.Module):
    """From z1 and z2 beside each other to the likelihood's parameters."""

    def __init__(self, lower: int, above: int, shape: Sequence[int], width: int) -> None:
        super().__init__()
        self.lower, self.shape = lower, tuple(shape)
        self.net = _Joined(lower, above, math.prod(shape), width)

    def forward(self, z: Tensor, context: Tensor | None) -> Tensor:
        return self.net(z[:, : self.lower], z[:, self.lower :], context).unflatten(1, self.shape)
