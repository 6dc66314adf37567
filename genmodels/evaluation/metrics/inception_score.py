"""How sure a classifier is of each sample, and how many classes the samples have (Salimans et al. 2016)."""

import math
import warnings

import torch
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.evaluation.metrics.figure import Figure
from genmodels.evaluation.metrics.metric import Trained
from genmodels.evaluation.metrics.sample_metric import SampleMetric, sample_figure
from genmodels.models.model import Model
from genmodels.objectives import Objective
from genmodels.randomness import seed_for, seeded

_SPLITS = 10


class InceptionScore(SampleMetric):
    """exp E_x KL(p(y | x) || p(y)), a mean over 10 splits of the samples; higher is better, the number of classes best.

    No real data enters. The standard error is the deviation over the splits / sqrt(10); what papers print after their
    score is the deviation itself, which is a part. Called `inception_score` with Inception's classes only.
    """

    name = "inception_score"

    def applies(self, model: Model, objective: Objective) -> bool:
        return super().applies(model, objective) and model.levels is not None

    def check(self, trained: Trained) -> None:
        super().check(trained)
        if not trained.feature_sets.extractor.num_classes:
            raise UserError("metrics=[inception_score] needs features with classes: choose features=small or inception")
        if trained.num_samples < 2 * _SPLITS:
            raise UserError(f"metrics=[inception_score] needs num_samples={2 * _SPLITS} at least")

    def measure(self, trained: Trained) -> Figure:
        self.check(trained)
        logits = trained.feature_sets.drawn.logits
        assert logits is not None  # there are classes
        mean, deviation = _splits(logits.double(), trained.seed)
        error = deviation / math.sqrt(_SPLITS)
        parts = {"deviation of the splits": (deviation, None)}
        return sample_figure(trained, "inception_score", mean, error, "higher", {"splits": _SPLITS}, parts)


def _splits(logits: Tensor, seed: int) -> tuple[float, float]:
    """Mean and deviation over splits."""
    # Imported here, as it takes seconds; of the logits that we have, it takes those of an identity.
    from torchmetrics.image.inception import InceptionScore as Score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the logits are kept
        score = Score(feature=nn.Identity(), splits=_SPLITS)
    score.update(logits)
    with seeded(seed_for("inception score", seed), torch.device("cpu")):
        mean, deviation = score.compute()
    return float(mean), float(deviation)
