"""The squared maximum mean discrepancy between samples and data in feature space (Binkowski et al. 2018)."""

import math
import warnings

import torch
from torch import nn

from genmodels.errors import UserError
from genmodels.evaluation.metrics.figure import Figure
from genmodels.evaluation.metrics.metric import Trained
from genmodels.evaluation.metrics.sample_metric import SampleMetric, against, sample_figure
from genmodels.randomness import seed_for, seeded

_SUBSETS, _SUBSET_SIZE = 100, 1000


class KID(SampleMetric):
    """With the kernel (x . y / F + 1)^3, a mean over 100 random subsets of 1,000 on either side, or of half of either.

    Unbiased: 0 in expectation where both are of one distribution, and at times below; lower is better.

    The standard error: subsets of n out of N (the smaller side) scatter by s^2 about the figure of all N. That figure
    itself has the variance s^2 (n / N) / (1 - n / N) where the two distributions differ, less where they do not, and
    the mean over the subsets s^2 / 100 more.
    """

    name = "kid"

    def measure(self, trained: Trained) -> Figure:
        sets = trained.feature_sets
        smaller = min(len(sets.real), trained.num_samples)
        size = min(_SUBSET_SIZE, smaller // 2)
        if size < 2:
            raise UserError("metrics=[kid] needs four samples and four real examples at least: choose more")
        mean, deviation = _subsets(sets.real.double(), sets.drawn.features.double(), size, trained.seed)
        share = size / smaller
        error = deviation * math.sqrt(share / (1 - share) + 1 / _SUBSETS)
        protocol = {**against(trained), "subsets": _SUBSETS, "subset_size": size}
        return sample_figure(trained, "kid", mean, error, "lower", protocol, {})


def _subsets(real: torch.Tensor, generated: torch.Tensor, size: int, seed: int) -> tuple[float, float]:
    """Mean and deviation over subsets."""
    # Imported here, as it takes seconds; of the features that we have, it takes those of an identity.
    from torchmetrics.image.kid import KernelInceptionDistance

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the features are kept
        kid = KernelInceptionDistance(feature=nn.Identity(), subsets=_SUBSETS, subset_size=size)
    kid.update(real, real=True)
    kid.update(generated, real=False)
    with seeded(seed_for("kid", seed), torch.device("cpu")):
        mean, deviation = kid.compute()
    return float(mean), float(deviation) * math.sqrt(_SUBSETS / (_SUBSETS - 1))
