"""Compile a model in parts that repeat."""

from collections import Counter
from collections.abc import Iterator

import torch
from torch import nn

from genmodels.models.model import Model


def compile_parts(model: nn.Module) -> int:
    """Let torch.compile take each of the largest parts of `model` that occur more than once; returns how many.

    Parts of equal structure share one compiled graph, so a deep stack compiles as fast as one of its layers, where
    the whole of it would take minutes. A model in which nothing repeats is compiled child by child. Weights keep their
    names. The first calls are slow.
    """
    parts = _largest_repeated(model)
    # One variant for each structure, mode (training, evaluation, initialisation) and batch size.
    torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)
    for part in parts:
        part.compile()
    return len(parts)


def compile_errors(model: Model) -> Iterator[str]:
    """A sentence if `compile=true` would bring nothing, or would not come to an end, for this model."""
    why = model.not_compiled
    if not why:
        pieces = {type(part).__name__ for part in _repeated(model) if not _is_called(part) and not _is_list(part)}
        why = f"its {' and '.join(sorted(pieces))} is not called as a whole but by its methods" if pieces else ""
    if why:
        yield f"compile=true is not for {type(model).__name__}: {why}; set compile=false"


def _largest_repeated(model: nn.Module) -> list[nn.Module]:
    found = [part for part in _repeated(model) if _is_called(part)]
    return found or [child for child in model.children() if _is_called(child)]


def _repeated(model: nn.Module) -> Iterator[nn.Module]:
    """The largest that occur more than once, and the repeated parts of those among them that are not called."""
    occurrences = Counter(repr(module) for module in model.modules() if any(True for _ in module.parameters()))
    waiting = list(model.children())
    while waiting:
        module = waiting.pop(0)
        repeats = occurrences[repr(module)] > 1
        if repeats:
            yield module
        if not (repeats and _is_called(module)):
            waiting.extend(module.children())


def _is_called(module: nn.Module) -> bool:
    return type(module).forward is not nn.Module.forward


def _is_list(module: nn.Module) -> bool:
    return isinstance(module, nn.ModuleList | nn.ModuleDict)
