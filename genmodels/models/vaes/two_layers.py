"""What models with two layers of latents share: their distributions factorise, each factor a network and a density."""

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from genmodels.models.terms import Gradient, Terms
from genmodels.models.vaes.latent_vectors import LatentVectorModel
from genmodels.models.vaes.posterior import Posterior


class Drawn(NamedTuple):
    """K draws of one layer for each of B examples.

    Attributes:
        latents: [K, B, Z].
        log_q: their log density, [K * B] nats.
        features: what that density is made of, [K * B, F].
    """

    latents: Tensor
    log_q: Tensor
    features: Tensor

    @property
    def rows(self) -> Tensor:
        """The latents as [K * B, Z]."""
        return self.latents.flatten(0, 1)


class Conditional(nn.Module):
    """p(z | given): a density of what a network makes of its inputs.

    Args:
        net: from what is given, the last of it one-hot labels or None, to features [B, F], or [K * B, F] where it is
            given draws.
        density: of z given features.
    """

    def __init__(self, net: nn.Module, density: Posterior) -> None:
        super().__init__()
        self.net, self.density = net, density

    def forward(self, z: Tensor, *given: Tensor | None) -> Tensor:
        """log p(z | given) of K draws for each of B that are given: z [K * B, Z] -> [K * B] nats."""
        return self.density(z, _repeated(self.net(*given), len(z)))

    def draw(self, *given: Tensor | None, examples: int, samples: int, gradient: Gradient) -> Drawn:
        """`samples` draws for each of `examples`, and how the parameters in here enter them and their density.

        Where it is given draws itself, it takes one for each; with gradient="score" they have to be constants.
        """
        features = _repeated(self.net(*given), samples * examples)
        z, log_q = self.density.sample(features)
        latents = z.view(samples, examples, -1)
        if gradient == "score":
            latents = latents.detach()
            log_q = self.density(latents.flatten(0, 1), features)
        elif gradient == "sticking":
            # What is given may be draws, and then leads back to the parameters of their own density.
            stopped = {name: value.detach() for name, value in self.named_parameters()}
            log_q = functional_call(self, stopped, (latents.flatten(0, 1), *given))
        return Drawn(latents, log_q, features)

    def sample(self, *given: Tensor | None, temperature: float) -> Tensor:
        """A draw for each that is given, its distance from the centre multiplied by the temperature: [B, Z]."""
        features = self.net(*given)
        return torch.lerp(self.density.centre(features), self.density.sample(features)[0], temperature)

    def centre(self, *given: Tensor | None) -> Tensor:
        """What stands for the whole density, [B, Z]; no randomness."""
        return self.density.centre(self.net(*given))


class TwoLayerModel(LatentVectorModel):
    """p(x, z1, z2) = p(z2) p(z1 | z2) p(x | z), z1 next to the data, and q(z1, z2 | x) in whichever order.

        log w = log p(x | z) - [log q(z1 | ...) - log p(z1 | z2)] - [log q(z2 | ...) - log p(z2)]

    Attributes:
        p1: p(z1 | z2), called with z1, z2 and one-hot labels.
        q2: q(z2 | ...); its features give KL(q2 || p(z2)), where that has a closed form.
    """

    p1: Conditional
    q2: Conditional

    def terms(
        self, x: Tensor, y: Tensor | None = None, samples: int = 1, gradient: Gradient = "reparametrised"
    ) -> Terms:
        """See `Terms`; layers z1 [K, B, Z1] and z2 [K, B, Z2]. What depends on x alone runs once for all draws."""
        context = self._one_hot(y)
        repeated = None if context is None else context.repeat(samples, 1)
        lower, upper = self._inferred(self._values(x), context, repeated, samples, gradient)
        params = self.decoder(self._seen(lower.rows, upper.rows), repeated)
        log_ratios = [
            (lower.log_q - self.p1(lower.rows, upper.rows, repeated)).view(samples, -1, 1),
            (upper.log_q - self.prior.log_prob(upper.rows)).view(samples, -1, 1),
        ]
        kl = self.q2.density.kl(upper.features, self.prior)
        upper_kl = log_ratios[1] if kl is None else kl.unflatten(0, (samples, -1))
        return Terms(
            self.likelihood.of_draws(params, x),
            log_ratios,
            [log_ratios[0].mean(dim=0), upper_kl.mean(dim=0)],
            (lower.log_q + upper.log_q).view(samples, -1),
            [lower.latents, upper.latents],
        )

    def _draws(self, n: int, context: Tensor | None, temperature: float) -> Tensor:
        upper = self.prior.sample(n, temperature)
        return self._seen(self.p1.sample(upper, context, temperature=temperature), upper)

    @abstractmethod
    def _inferred(
        self, values: Tensor, context: Tensor | None, repeated: Tensor | None, samples: int, gradient: Gradient
    ) -> tuple[Drawn, Drawn]:
        """Draws of z1 and z2 by q; labels as they are for x and as they are for K draws of it."""

    @abstractmethod
    def _seen(self, lower: Tensor, upper: Tensor) -> Tensor:
        """What the decoder sees of z1 and z2."""


def _repeated(features: Tensor, rows: int) -> Tensor:
    return features.repeat(rows // len(features), 1)
