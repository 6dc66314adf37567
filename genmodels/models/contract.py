"""What a model promises: the types of everything that a family can offer, written once.

Every model is a `Model` (model.py). Beyond that a family offers some of the capabilities below; whoever needs one asks
for it in `capabilities.py`. mypy holds classes against the protocols where they meet.
"""

from collections.abc import Callable, Iterable
from typing import Literal, Protocol

from torch import Tensor, nn

from genmodels.bijections.continuous import Costs
from genmodels.distributions.base import Base
from genmodels.models.terms import Gradient, Terms
from genmodels.models.vaes.posterior import Posterior

Batch = tuple[Tensor, Tensor | None]


class Density(Protocol):
    """A likelihood: `log_prob` is one log importance weight, E[exp(log_prob(x))] = p(x).

    Attributes:
        exact: whether it is log p(x) itself, and so the same in every call.
    """

    @property
    def exact(self) -> bool: ...

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Shapes: x [B, *shape], y [B] -> [B], nats."""


class Transport(Density, Protocol):
    """Its data flow to noise along a path, whose cost it knows: see `Costs`."""

    def log_prob_and_costs(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Costs]:
        """Shapes: x [B, *shape] -> [B] nats, and the costs of each example, [B]."""


class VelocityField(Protocol):
    """Its data flow to noise along one vector field, which can be asked for without solving an equation.

    Attributes:
        num_blocks: vector fields one after another; more than one have no common velocity.
    """

    num_blocks: int

    def at_start(self, x: Tensor) -> Tensor:
        """Data as the field sees it, dequantised with fresh noise. Shapes: [B, *shape] -> the same, floats."""

    def velocity(self, time: Tensor, v: Tensor) -> Tensor:
        """dv/ds at time s [B] between 0, the data's, and 1, the noise's. Shapes: v [B, *shape] -> the same."""


class LatentVariables(Density, Protocol):
    """Its log-weights come from draws of latents: see `Terms`.

    Attributes:
        gradients: what `terms` can be asked for.
    """

    gradients: frozenset[Gradient]

    def terms(
        self, x: Tensor, y: Tensor | None = None, samples: int = 1, gradient: Gradient = "reparametrised"
    ) -> Terms:
        """Shapes: x [B, *shape], y [B]."""


class SingleLatent(LatentVariables, Protocol):
    """It has one layer of latent vectors z [B, Z], and names the three densities of x and z.

    Attributes:
        prior: p(z).
        posterior: called with (z, features), log q(z | x).
    """

    prior: Base
    posterior: Posterior

    def posterior_features(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """What q(z | x) is made of: [B, *shape] -> [B, F]."""

    def log_joint(self, x: Tensor, z: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(x, z). Shapes: x [B, *shape], z [B, Z] -> [B], nats."""


class Sampler(Protocol):
    """It draws."""

    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """`n` draws in the data's own type, [n, *shape]; temperature 1 is the model itself, y [n] the labels.

        Raises:
            UserError: n is no whole number from 1 on, y no labels of the model, or the temperature none from 0 on.
        """


class Stepwise(Sampler, Protocol):
    """It draws step by step, and can be told how; what it draws does not depend on it but for rounding."""

    def sample(
        self,
        n: int,
        y: Tensor | None = None,
        temperature: float = 1.0,
        *,
        method: Literal["cached", "naive", "jacobi"] = "cached",
    ) -> Tensor:
        """`method`: one small step after another, a whole pass for each, or a fixed point of whole passes."""


class PixelByPixel(Stepwise, Protocol):
    """It draws images pixel by pixel, in an order, and can keep given pixels: see `AutoregressiveModel`."""

    order: Tensor

    def sample(
        self,
        n: int,
        y: Tensor | None = None,
        temperature: float = 1.0,
        *,
        method: Literal["cached", "naive", "jacobi"] = "cached",
        given: Tensor | None = None,
        known: Tensor | None = None,
        track: Callable[[Iterable[int]], Iterable[int]] = iter,
    ) -> Tensor: ...


class Decodes(Protocol):
    """It maps latents to data, without randomness."""

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Shapes: z [B, *latent_shape] -> [B, *shape], in the data's own type.

        Raises:
            UserError: z or y is of another type or shape.
        """


class Latent(Decodes, Protocol):
    """It maps data to latents and back, without randomness."""

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Shapes: x [B, *shape] -> z [B, ...]."""


class LatentSampler(Decodes, Protocol):
    """It draws latents, and need not infer any."""

    def latents(self, n: int) -> Tensor:
        """`n` draws of what it decodes, [n, Z]."""


class Reconstructs(Latent, Protocol):
    """Its latents stand for a distribution of data, of which it names the mean."""

    def decode_mean(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """E[x | z]. Shapes: z [B, ...] -> floats [B, *shape], pixels from 0 to levels - 1."""


class Invertible(Protocol):
    """`decode` undoes `encode` but for rounding."""

    def inverse_error(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The largest error over the batch, a scalar, in the unit in which the model sees the data."""


class SampledDensity(Protocol):
    """It draws vectors together with their density, with gradients through both."""

    def sample_with_log_prob(self, n: int) -> tuple[Tensor, Tensor]:
        """[n, D], and [n] nats."""


class SetStatistics(Protocol):
    """It normalises by statistics of the whole training set, where `needs_statistics`."""

    needs_statistics: bool

    def set_statistics(self, batches: Iterable[Batch]) -> None:
        """Take them from one pass over the set."""


class AdversarialPair(Sampler, LatentSampler, Protocol):
    """A generator and its critic; what passes between them are floats: pixels from -1 to 1, vectors as they are.

    Attributes:
        generator: what is wanted in the end.
        discriminator: (x [B, *shape], y [B]) -> [B]; larger for what looks real.
        mixes_batch: whether the score of one image depends on the others of its batch, as with batch norm.
    """

    generator: nn.Module
    discriminator: nn.Module

    @property
    def mixes_batch(self) -> bool: ...

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """With gradient. Shapes: z [B, Z] -> [B, *shape]."""

    def scaled(self, x: Tensor) -> Tensor:
        """Data as the discriminator sees it. Shapes: [B, *shape] -> the same, floats."""


class StyleBased(AdversarialPair, Protocol):
    """Its generator goes from latents to styles, one for each layer, and from these to images."""

    def styles(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """With gradient. Shapes: z [B, Z] -> [B, L, W]."""

    def synthesize(self, w: Tensor) -> Tensor:
        """With gradient. Shapes: [B, L, W] -> [B, *shape]."""


class Translates(Protocol):
    """It maps data of one domain to another and back. Domains are classes of the data.

    Attributes:
        domains: their labels.
    """

    domains: tuple[int, int]

    def translate(self, x: Tensor, to: int) -> Tensor:
        """Data of the other domain as such of domain number `to`, 0 or 1. Shapes: [B, *shape] -> the same."""


class TranslationPair(Translates, Protocol):
    """A generator into each domain and a critic of each; what passes between them are floats, pixels from -1 to 1.

    Attributes:
        generators: [B, *shape] -> the same.
        discriminators: [B, *shape] -> scores of any shape, larger for what looks real.
    """

    generators: nn.ModuleList
    discriminators: nn.ModuleList

    def floats(self, x: Tensor) -> Tensor:
        """Data as the networks see it. Shapes: [B, *shape] -> the same."""


class Truncatable(Sampler, Protocol):
    """It can draw from the middle of its latents alone: less variety, better looks."""

    def sample(
        self, n: int, y: Tensor | None = None, temperature: float = 1.0, *, truncation: float | None = None
    ) -> Tensor:
        """What `truncation` is stands with the model."""


class Guidable(Sampler, Protocol):
    """It can draw what is more of its class than the model itself: less variety, better looks."""

    def sample(
        self, n: int, y: Tensor | None = None, temperature: float = 1.0, *, guidance: float | None = None
    ) -> Tensor:
        """What `guidance` is stands with the model; a model without classes refuses any."""
