"""Figures about a trained model, one file each."""

from genmodels.evaluation.metrics.figure import Figure, mean_with_error
from genmodels.evaluation.metrics.likelihood import Likelihood
from genmodels.evaluation.metrics.metric import Metric, Trained
from genmodels.evaluation.metrics.reverse_kl import ReverseKLDivergence

METRICS: dict[str, type[Metric]] = {metric.name: metric for metric in (Likelihood, ReverseKLDivergence)}
"""What `metrics=[...]` may name."""
