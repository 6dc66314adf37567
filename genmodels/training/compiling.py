"""Compile a model in parts that repeat."""

from collections import Counter

import torch
from torch import nn


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


def _largest_repeated(model: nn.Module) -> list[nn.Module]:
    occurrences = Counter(repr(module) for module in model.modules() if any(True for _ in module.parameters()))
    found: list[nn.Module] = []
    waiting = list(model.children())
    while waiting:
        module = waiting.pop(0)
        if occurrences[repr(module)] > 1:
            found.append(module)
        else:
            waiting.extend(module.children())
    return found or list(model.children())
