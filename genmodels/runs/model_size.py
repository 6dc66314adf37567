"""A run's config may not describe a model far larger than what the run has saved of it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor, nn
from torch.nn.modules import module as torchs

from genmodels.errors import UserError

_TIMES, _BYTES = 4, 2**28  # weight norm registers weights twice; buffers need not be saved


@contextlib.contextmanager
def held_to_checkpoint(checkpoint: Path) -> Iterator[None]:
    """While the body builds the model of a run, stop where its weights and buffers outgrow those in the checkpoint.

    A layer's weights are counted before they are initialised, which is when they begin to take memory.

    Raises:
        UserError: they do.
    """
    most, made = _TIMES * checkpoint.stat().st_size + _BYTES, 0

    def count(_: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal made
        made += 0 if tensor is None else tensor.numel() * tensor.element_size()
        if made > most:
            raise UserError(
                f"the config.yaml of {checkpoint} describes a model much larger than the one that is saved there: "
                "take the config.yaml that belongs to it"
            )

    handles = (
        torchs.register_module_parameter_registration_hook(count),
        torchs.register_module_buffer_registration_hook(count),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
