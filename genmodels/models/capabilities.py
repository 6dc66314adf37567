"""Who offers what of the contract: the one place where a model is asked what it is.

`offered` and `required` ask one model for one capability; `contract_errors` holds a model against all that it begins,
before training, with the user's words.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar, cast

from torch import nn

from genmodels.errors import UserError
from genmodels.models.contract import (
    AdversarialPair,
    Decodes,
    Density,
    Guidable,
    Invertible,
    Latent,
    LatentSampler,
    LatentVariables,
    PixelByPixel,
    Reconstructs,
    SampledDensity,
    Sampler,
    SetStatistics,
    SingleLatent,
    Stepwise,
    StyleBased,
    Translates,
    TranslationPair,
    Transport,
    Truncatable,
    VelocityField,
)
from genmodels.models.model import Model

CAPABILITIES: dict[type, str] = {
    Density: "a model with a density",
    Transport: "a continuous flow",
    VelocityField: "a continuous flow along one vector field",
    LatentVariables: "a variational autoencoder",
    SingleLatent: "a variational autoencoder with one layer of latents",
    Sampler: "a model that can be drawn from",
    Stepwise: "a model that draws step by step",
    PixelByPixel: "an autoregressive model of images",
    Decodes: "a model that makes data of latents",
    Latent: "a model with latents",
    LatentSampler: "a model that draws latents",
    Reconstructs: "a model that reconstructs from latents",
    Invertible: "an invertible model",
    SampledDensity: "a model that draws together with its density",
    SetStatistics: "a model with statistics of the whole set",
    AdversarialPair: "a generator with its critic",
    StyleBased: "a generator with styles",
    Translates: "a model that translates between domains",
    TranslationPair: "generators between two domains with their critics",
    Truncatable: "a model that can be drawn from with truncation",
    Guidable: "a model that can be drawn from with guidance",
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
