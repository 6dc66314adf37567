"""A part of a network run a second time, as it ran the first: the same noise, the same precision, nothing twice."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor, nn

Precision = Callable[[], AbstractContextManager[None]]


def precision_of_now(device: torch.device) -> Precision:
    """The precision of this moment, to be entered again; weights cast without a graph must not wait in its cache."""
    enabled, dtype = torch.is_autocast_enabled(device.type), torch.get_autocast_dtype(device.type)
    return lambda: torch.autocast(device.type, dtype, enabled, cache_enabled=False)


@contextmanager
def leaves_in_place(
    places: Sequence[tuple[nn.Module, str, nn.Parameter]], wanted: set[int]
) -> Iterator[Mapping[int, nn.Parameter]]:
    """Within, the parameters of the way there are replaced by leaves of the same storage.

    Args:
        places: of all parameters: module, name and what was there.
        wanted: ids of those that have a gradient.
    Yields: the leaf by the id of what it replaces.
    """
    leaf_of = {id(there): nn.Parameter(there.detach(), id(there) in wanted) for _, _, there in places}
    now = [part._parameters[name] for part, name, _ in places]
    for part, name, there in places:
        part._parameters[name] = leaf_of[id(there)]
    try:
        yield leaf_of
    finally:
        for (part, name, _), parameter in zip(places, now, strict=True):
            part._parameters[name] = parameter


@contextmanager
def buffers_set_aside(module: nn.Module) -> Iterator[None]:
    """Within, what updates running averages updates copies of them."""
    found = [(part, *item) for part in module.modules() for item in part.named_buffers(recurse=False)]
    for part, name, buffer in found:
        setattr(part, name, buffer.clone())
    try:
        yield
    finally:
        for part, name, buffer in found:
            setattr(part, name, buffer)


def random_state(device: torch.device) -> Sequence[Tensor]:
    """Of the CPU's generator, and of the device's where it has one."""
    if device.type == "cpu":
        return (torch.get_rng_state(),)
    return torch.get_rng_state(), torch.get_device_module(device).get_rng_state(device)


def set_random_state(state: Sequence[Tensor] | None, device: torch.device) -> None:
    """Put back what `random_state` gave; None leaves all as it is."""
    if state is not None:
        torch.set_rng_state(state[0])
        if len(state) > 1:
            torch.get_device_module(device).set_rng_state(state[1], device)


@contextmanager
def random_state_kept(device: torch.device) -> Iterator[None]:
    """Put the random state back at the end, whatever is drawn within."""
    state = random_state(device)
    try:
        yield
    finally:
        set_random_state(state, device)
