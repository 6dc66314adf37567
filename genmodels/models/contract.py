"""What a model promises: the types of everything that a family can offer, written once.

Every model is a `Model`. Beyond that a family offers some of the capabilities below; whoever needs one asks for it by
`offered` or `required`, and nowhere else is a model asked what it is. mypy holds classes against the protocols where
they meet, `contract_errors` holds an object against them before training, with the user's words.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol, TypeVar, cast

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
    """Its log-weights come from draws of latents: see `Terms`."""

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


class Latent(Protocol):
    """It maps data to latents and back, without randomness."""

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Shapes: x [B, *shape] -> z [B, ...]."""

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Shapes: z [B, ...] -> [B, *shape], in the data's own type."""


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


class AdversarialPair(Protocol):
    """A generator and its critic."""

    def generator(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Shapes: z [B, Z] -> [B, *shape], floats in the range that the discriminator sees."""

    def discriminator(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Shapes: [B, *shape] -> [B]; larger for what looks real."""


CAPABILITIES: dict[type, str] = {
    Density: "a model with a density",
    LatentVariables: "a variational autoencoder",
    SingleLatent: "a variational autoencoder with one layer of latents",
    Sampler: "a model that can be drawn from",
    PixelByPixel: "an autoregressive model of images",
    Latent: "a model with latents",
    Reconstructs: "a model that reconstructs from latents",
    Invertible: "an invertible model",
    SampledDensity: "a model that draws together with its density",
    SetStatistics: "a model with statistics of the whole set",
    AdversarialPair: "a generator with its critic",
}
"""Each capability in a user's words."""

C = TypeVar("C")


def offered(model: nn.Module, capability: type[C]) -> C | None:
    """`model` as what offers the capability, None if it does not."""
    # Not isinstance: from Python 3.12 on that overlooks a module's parameters, buffers and submodules.
    has_all = all(hasattr(model, member) for member in _MEMBERS[capability])
    return cast(C, model) if has_all and _can_be_called((type(model), capability)) else None


def required(model: nn.Module, capability: type[C], asker: str) -> C:
    """`model` as what offers the capability.

    Args:
        asker: what needs it, as the user typed it: "objective=nll", "interpolate=true".

    Raises:
        UserError: it does not.
    """
    found = offered(model, capability)
    if found is None:
        members = ", ".join(_MEMBERS[capability])
        raise UserError(f"{asker} needs {CAPABILITIES[capability]} ({members}), and {type(model).__name__} is none")
    return found


def contract_errors(model: nn.Module) -> Iterator[str]:
    """A sentence for every capability that `model` offers in part only: a name that is missing, or an argument.

    What a class does not mention it does not promise; what it begins it has to keep.
    """
    name = type(model).__name__
    if not isinstance(model, Model):
        yield f"{name} is no genmodels.models.Model: derive the class from it"
        return
    for attribute in ("shape", "levels"):
        if not hasattr(model, attribute):
            yield f"{name} does not set self.{attribute}: it has to be the data's"
    for capability in CAPABILITIES:
        if any(hasattr(model, method) for method in _own_methods(capability)):
            yield from _capability_errors(model, capability)


def _capability_errors(model: nn.Module, capability: type) -> Iterator[str]:
    name = type(model).__name__
    for member in _MEMBERS[capability]:
        promised = getattr(capability, member, None)
        if not hasattr(model, member):
            yield f"{name} does not set {member}: a {capability.__name__} has it"
        elif callable(promised) and not isinstance(getattr(model, member), nn.Module):
            lacking = _lacking(getattr(model, member), promised)
            if lacking:
                takes = ", ".join(list(inspect.signature(promised).parameters)[1:])
                yield f"{name}.{member} does not take {', '.join(lacking)}: its arguments have to be ({takes})"


@functools.cache
def _can_be_called(pair: tuple[type, type]) -> bool:
    """Whether the methods of a class take what a capability promises; submodules, which no class has, are left out."""
    model, capability = pair
    return not any(
        _lacking(getattr(model, method), getattr(capability, method))
        for method in _methods(capability)
        if hasattr(model, method)
    )


def _lacking(method: Callable[..., Any], promised: Callable[..., Any]) -> list[str]:
    """Parameters by which `promised` may be called and `method` may not."""
    taken = inspect.signature(method).parameters
    if any(p.kind is p.VAR_KEYWORD for p in taken.values()):
        return []
    return [name for name in list(inspect.signature(promised).parameters)[1:] if name not in taken]


def _methods(capability: type) -> list[str]:
    return [member for member in _MEMBERS[capability] if callable(getattr(capability, member, None))]


def _own_methods(capability: type) -> list[str]:
    """Those by which a model begins to offer it: what a wider capability has too begins that one only."""
    wider = {name for base in capability.__mro__[1:] for name in _MEMBERS.get(base, ())}
    return [name for name in _methods(capability) if name not in wider]


def _members(capability: type) -> list[str]:
    parts = [part for part in capability.__mro__ if issubclass(part, Protocol) and part is not Protocol]
    names = {name for part in parts for name in (*vars(part), *inspect.get_annotations(part))}
    return sorted(name for name in names if not name.startswith("_"))


_MEMBERS = {capability: _members(capability) for capability in CAPABILITIES}
