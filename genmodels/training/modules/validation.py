"""Figures of a validation: their means over all ranks, and the example that makes one of them infinite or nan."""

import math
from collections.abc import Callable, Mapping

import pytorch_lightning as pl
import torch
from torch import Tensor

from genmodels.models.data_checks import in_words

Evaluate = Callable[[Tensor, Tensor | None], Mapping[str, Tensor]]


class ValidationMeans:
    """Sums and counts, since the ranks may hold unequal numbers of examples."""

    def __init__(self) -> None:
        self.count = 0
        self._sums: dict[str, float] = {}

    def add(self, means: Mapping[str, float], examples: int) -> None:
        """Take the means over a batch of so many examples."""
        for name, value in means.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * examples
        self.count += examples

    def of_all_ranks(self, trainer: pl.Trainer, device: torch.device) -> dict[str, float]:
        """The means, by name."""
        totals = torch.tensor([*self._sums.values(), self.count], dtype=torch.float64)
        if trainer.world_size > 1:
            totals = trainer.strategy.reduce(totals.to(device), reduce_op="sum")
        *sums, count = totals.tolist()
        return {name: total / count for name, total in zip(self._sums, sums, strict=True)}


def culprit(
    name: str, x: Tensor, y: Tensor | None, evaluate: Evaluate, batch: int, position: Callable[[int], int]
) -> str:
    """In words, for which examples of a batch the figure `name` is not finite where they are evaluated alone.

    Args:
        batch: its number.
        position: (row of the batch) -> the row of the validation part.
    """
    bad = []
    for row in range(len(x)):
        alone = evaluate(x[row : row + 1], None if y is None else y[row : row + 1])
        bad += [] if math.isfinite(alone[name]) else [row]
    if not bad or len(bad) == len(x) > 1:
        found = f"for {'all' if bad else 'none'} of the {len(x)} examples of batch {batch} alone"
        return found + (": the weights may have diverged, see optimizer.lr" if bad else "")
    more = f" and {len(bad) - 1} more of its batch" if len(bad) > 1 else ""
    row = position(bad[0])
    return f"for row {row} of the validation part{more}, whose {in_words(x[bad[0]])}: mend or remove it"
