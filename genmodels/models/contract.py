"""What a model promises: the types of everything that a family can offer, written once.

Every model is a `Model`. Beyond that a family offers some of the capabilities below; whoever needs one asks for it in
`capabilities.py`. mypy holds classes against the protocols where they meet.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.distributions.base import Base
from genmodels.errors import UserError
from genmodels.models.terms import Gradient, Terms
from genmodels.models.vaes.posterior import Posterior

Kind = Literal["images", "vectors"]
Batch = tuple[Tensor, Tensor | None]


class Model(nn.Module):
    """What every model is: a module that knows the data it is made for.

    Images are integers, uint8 [B, C, H, W] of values 0 .. levels - 1; vectors float32 [B, D]. Labels y are int64 [B].

    Attributes:
        takes: the kinds of data that the class can be made for.
        shape: of one x, (C, H, W) or (D,).
        levels: values of a pixel; None for vectors.
        num_classes: classes that it conditions on; 0 for none.
        init_batch_size: examples for data-dependent initialisation; Glow's official code takes 256.
        chosen: sizes that the model took from the data because none was set, by the names of their settings.
    """

    takes: ClassVar[frozenset[Kind]] = frozenset(("images", "vectors"))
    shape: tuple[int, ...]
    levels: int | None
    num_classes: int = 0
    init_batch_size: int = 256
    chosen: Mapping[str, Any] = MappingProxyType({})

    @property
    def protocol(self) -> Mapping[str, Any]:
        """What every figure of it has to say, by name, such as that its likelihood is not that of a distribution."""
        return {}

    @property
    def estimates_log_prob(self) -> bool:
        """Whether `log_prob` holds noise, in the mode that the model is in, that is unbiased in log p and not in p.

        Stochastic log-determinants are that. Their mean is right; the log of a mean of exponentials counts the noise as
        likelihood, so that only one sample of each example can be asked for.
        """
        return False

    @property
    def _dtype(self) -> torch.dtype:
        """The parameters' type."""
        return next(self.parameters()).dtype

    def _one_hot(self, y: Tensor | None) -> Tensor | None:
        """The labels as [B, num_classes], None for a model without classes.

        Raises:
            UserError: there are classes and no labels.
        """
        if not self.num_classes:
            return None
        if y is None:
            raise UserError("This model is class-conditional and the data has no labels; set model.conditional=false.")
        return F.one_hot(y, self.num_classes).to(self._dtype)

    def averaged_modules(self) -> Sequence[nn.Module]:
        """The parts whose weights an exponential moving average keeps: what is wanted in the end."""
        return [self]

    def decayed_parameters(self) -> Iterable[nn.Parameter]:
        """What the optimiser's weight decay applies to."""
        return self.parameters()


class Density(Protocol):
    """A likelihood: `log_prob` is one log importance weight, E[exp(log_prob(x))] = p(x).

    Attributes:
        exact: whether it is log p(x) itself, and so the same in every call.
    """

    @property
    def exact(self) -> bool: ...

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Shapes: x [B, *shape], y [B] -> [B], nats."""


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
        """`n` draws in the data's own type, [n, *shape]; temperature 1 is the model itself, y [n] the labels."""


class PixelByPixel(Sampler, Protocol):
    """It draws images step by step, in an order, and can keep given pixels: see `AutoregressiveModel`."""

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
        """Shapes: z [B, ...] -> [B, *shape], in the data's own type."""


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


class Truncatable(Sampler, Protocol):
    """It can draw from the middle of its latents alone: less variety, better looks."""

    def sample(
        self, n: int, y: Tensor | None = None, temperature: float = 1.0, *, truncation: float | None = None
    ) -> Tensor:
        """What `truncation` is stands with the model."""
