"""The Fréchet distance between sets of features (Heusel et al. 2017), from sums over batches and processes."""

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.features.extraction import extracted
from genmodels.features.extractor import FeatureExtractor
from genmodels.randomness import generator_for


class Moments:
    """What the mean and the covariance of features follow from, in float64.

    Attributes:
        sums: number of examples [], sum [F] and sum of outer products [F, F]; processes add theirs up in place.
    """

    def __init__(self, num_features: int, device: torch.device | str = "cpu") -> None:
        sizes = ((), (num_features,), (num_features, num_features))
        self.sums = tuple(torch.zeros(size, dtype=torch.float64, device=device) for size in sizes)

    @classmethod
    def of(cls, features: Tensor) -> "Moments":
        """Of features [N, F], on their device."""
        moments = cls(features.shape[1], features.device)
        moments.add(features)
        return moments

    def add(self, features: Tensor) -> None:
        """Take in a batch [B, F]."""
        count, total, outer = self.sums
        batch = features.detach().to(total)
        count += len(batch)
        total += batch.sum(dim=0)
        outer += batch.T @ batch

    def __add__(self, other: "Moments") -> "Moments":
        both = Moments(len(self.sums[1]), self.sums[1].device)
        both.sums = tuple(mine + its for mine, its in zip(self.sums, other.sums, strict=True))
        return both

    def mean_and_covariance(self) -> tuple[Tensor, Tensor]:
        """[F] and [F, F], the unbiased one.

        Raises:
            UserError: of fewer than two examples, or of features that are not finite.
        """
        count, total, outer = self.sums
        if count < 2:
            raise UserError("a Fréchet distance needs two examples at least on either side: take more")
        if not outer.isfinite().all():
            raise UserError("the features are not all finite: the samples have diverged, so there is no distance")
        mean = total / count
        return mean, (outer - count * mean.outer(mean)) / (count - 1)


def frechet_distance(first: Moments, second: Moments) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), where tr (C1 C2)^(1/2) is the sum of the singular values of R1 R2.

    R are the symmetric roots. That form needs no complex numbers and takes singular covariances, as there are with
    fewer examples than features.
    """
    (mean1, covariance1), (mean2, covariance2) = first.mean_and_covariance(), second.mean_and_covariance()
    cross = torch.linalg.svdvals(_root(covariance1) @ _root(covariance2)).sum()
    distance = (mean1 - mean2).square().sum() + covariance1.trace() + covariance2.trace() - 2 * cross
    return max(0.0, float(distance))  # below only by rounding


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def real_against_real(features: Tensor, size: int, seed: int = 0) -> float:
    """The Fréchet distance between two disjoint random parts, of `size` examples each, of features [N, F] of real data.

    It is what a perfect model would get of `size` samples against `size` real examples. The distance's bias falls as
    one over the number of examples.

    Args:
        size: N / 2 at most.
        seed: of the parts.
    """
    rows = torch.randperm(len(features), generator=generator_for("real against real", seed)).to(features.device)
    return frechet_distance(Moments.of(features[rows[:size]]), Moments.of(features[rows[size : 2 * size]]))


class FrechetMeter:
    """The Fréchet distance between real and generated data that come in batches, as in a validation loop.

    No module, so that its network is in nobody's checkpoint. Under several processes each meter sees its own batches;
    before a distance is asked for, every tensor of `sums` has to be added up over the processes in place:

        for part in meter.sums():
            torch.distributed.all_reduce(part)

    Args:
        extractor: in evaluation mode, on `device`; see `chosen_features`.
        levels: of a pixel, None for vectors.
        device: of the batches.
    """

    def __init__(self, extractor: FeatureExtractor, levels: int | None, device: torch.device | str = "cpu") -> None:
        self.extractor, self.levels, self.device = extractor, levels, torch.device(device)
        self.reset()

    def to(self, device: torch.device | str) -> None:
        """Go there, and forget all batches."""
        self.device = torch.device(device)
        self.extractor.to(self.device)
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        first, second, self.generated = (Moments(self.extractor.num_features, self.device) for _ in range(3))
        self.real_halves = (first, second)

    def add_real(self, x: Tensor) -> None:
        """Take in a batch of data, [B, C, H, W] or [B, D]; its rows go to one half and the other in turn."""
        features, _ = extracted(self.extractor, x, self.levels)
        for start, half in enumerate(self.real_halves):
            half.add(features[start::2])

    def add_generated(self, x: Tensor) -> None:
        """Take in a batch of samples, of the data's own type."""
        features, _ = extracted(self.extractor, x, self.levels)
        self.generated.add(features)

    def sums(self) -> tuple[Tensor, ...]:
        """All that the distances follow from, float64."""
        first, second = self.real_halves
        return (*first.sums, *second.sums, *self.generated.sums)

    def distance(self) -> float:
        """Between all that was generated and all that is real.

        Raises:
            UserError: fewer than two examples on one side, or features that are not finite.
        """
        first, second = self.real_halves
        return frechet_distance(first + second, self.generated)

    def real_against_real(self) -> float:
        """Between the two halves of what is real: see the function of that name."""
        return frechet_distance(*self.real_halves)
