"""Fidelity and variety apart: precision, recall, density and coverage of samples in feature space."""

from typing import NamedTuple

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.metrics.figure import Figure
from genmodels.evaluation.metrics.metric import Trained
from genmodels.evaluation.metrics.sample_metric import SampleMetric, against, sample_figure
from genmodels.features.neighbours import distances, radii

_K, _K_DENSITY = 3, 5


class Fidelity(NamedTuple):
    """The four figures."""

    precision: float
    recall: float
    density: float
    coverage: float


class PrecisionRecall(SampleMetric):
    """The fraction of samples that lie among the real examples; `parts`: recall, density, coverage; higher is better.

    Every point carries a ball that reaches to its k-th nearest neighbour of its own kind (the border counts):

    - precision: samples in the ball of some real example, recall: real examples in the ball of some sample, k = 3
      (Kynkäänniemi et al. 2019);
    - density: real balls that a sample lies in, / k, which may exceed 1; coverage: real examples whose ball holds a
      sample, k = 5 (Naeem et al. 2020). Outliers among the samples make no difference to them.

    All depend on how many there are of either kind.
    """

    name = "precision_recall"

    def measure(self, trained: Trained) -> Figure:
        sets = trained.feature_sets
        found = fidelity(sets.real, sets.drawn.features)
        parts = {name: (value, None) for name, value in found._asdict().items() if name != "precision"}
        protocol = {**against(trained), "k": _K, "k_density": _K_DENSITY}
        return sample_figure(trained, "precision", found.precision, None, "higher", protocol, parts)


def fidelity(real: Tensor, generated: Tensor) -> Fidelity:
    """Of features [M, F] and [N, F].

    Raises:
        UserError: there are too few.
    """
    if min(len(real), len(generated)) <= _K_DENSITY:
        raise UserError(f"metrics=[precision_recall] needs more than {_K_DENSITY} samples and real examples: take more")
    real_balls, generated_balls, wide_balls = radii(real, _K), radii(generated, _K), radii(real, _K_DENSITY)
    precise, dense = [], []
    recalled, covered = torch.zeros(2, len(real), dtype=torch.bool)
    for rows, block in distances(generated, real):
        inside = block <= wide_balls
        precise.append((block <= real_balls).any(dim=1))
        dense.append(inside.sum(dim=1) / _K_DENSITY)
        recalled |= (block <= generated_balls[rows, None]).any(dim=0)
        covered |= inside.any(dim=0)
    means = (values.double().mean().item() for values in (torch.cat(precise), recalled, torch.cat(dense), covered))
    return Fidelity(*means)
