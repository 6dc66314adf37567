"""The features of a model's samples and of data, each taken once however many metrics ask."""

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.features import FeatureExtractor, extracted, features_of_data

SHOWN = 20  # samples that are kept for a picture

Inputs = Callable[[], Iterable[Tensor]]
OfSamples = Callable[[Callable[[Tensor], "Drawn"]], Iterable["Drawn"]]


class Drawn(NamedTuple):
    """Features [N, F] of samples, logits [N, K] where the extractor gives some, and the first 20 samples themselves."""

    features: Tensor
    logits: Tensor | None
    first: Tensor


class FeatureSets:
    """Everything on the CPU, taken when it is first asked for.

    Args:
        extractor: on `device`.
        levels: of a pixel, None for vectors.
        device: where samples and data are.
        of_samples: does what it is given to every batch of the model's samples, and gives the results.
        real, training: give the data they are held against, and all that the model learned from.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        levels: int | None,
        device: torch.device,
        of_samples: OfSamples,
        real: Inputs,
        training: Inputs,
    ) -> None:
        self.extractor = extractor
        self._levels, self._device = levels, device
        self._of_samples, self._real, self._training = of_samples, real, training

    @cached_property
    def drawn(self) -> Drawn:
        """Of the samples.

        Raises:
            UserError: some have diverged.
        """
        features, logits, first = zip(*self._of_samples(self._taken), strict=True)
        every = torch.cat(features)
        if diverged := int((~every.isfinite().all(dim=1)).sum()):
            raise UserError(
                f"{diverged:,} of {len(every):,} samples or their features are not finite, so there is no figure of "
                "them: the model needs more training"
            )
        return Drawn(every, None if logits[0] is None else torch.cat(logits), torch.cat(first)[:SHOWN])

    def _taken(self, x: Tensor) -> Drawn:
        """Of one batch."""
        features, logits = extracted(self.extractor, x, self._levels)
        return Drawn(features.cpu(), None if logits is None else logits.cpu(), x[:SHOWN].cpu())

    @cached_property
    def real(self) -> Tensor:
        """Of the data that the samples are held against, [M, F]."""
        return features_of_data(self.extractor, self._real, self._levels, self._device)

    @cached_property
    def training(self) -> Tensor:
        """Of all training examples, [T, F]."""
        return features_of_data(self.extractor, self._training, self._levels, self._device)

    def training_examples(self, rows: Tensor) -> Tensor:
        """Training examples at these positions [n], in their order; from one pass over the set."""
        found: dict[int, Tensor] = {}
        start = 0
        for x in self._training():
            here = rows[(rows >= start) & (rows < start + len(x))]
            found.update({int(row): x[row - start].cpu() for row in here})
            start += len(x)
        return torch.stack([found[int(row)] for row in rows])
