"""Figures about a trained model, one file each."""

from genmodels.evaluation.metrics.active_units import ActiveUnits
from genmodels.evaluation.metrics.ais import AnnealedImportanceSampling
from genmodels.evaluation.metrics.elbo_surgery import ELBOSurgery
from genmodels.evaluation.metrics.fid import FID
from genmodels.evaluation.metrics.figure import Figure, mean_with_error
from genmodels.evaluation.metrics.inception_score import InceptionScore
from genmodels.evaluation.metrics.inference_gaps import InferenceGaps
from genmodels.evaluation.metrics.kid import KID
from genmodels.evaluation.metrics.laplace import Laplace
from genmodels.evaluation.metrics.latent_map import LatentMap
from genmodels.evaluation.metrics.latent_traversal import LatentTraversal
from genmodels.evaluation.metrics.likelihood import Likelihood
from genmodels.evaluation.metrics.metric import Metric, Trained
from genmodels.evaluation.metrics.modes import ModeCoverage
from genmodels.evaluation.metrics.nearest_neighbours import NearestNeighbours
from genmodels.evaluation.metrics.precision_recall import PrecisionRecall
from genmodels.evaluation.metrics.reconstruction import Reconstruction
from genmodels.evaluation.metrics.reverse_kl import ReverseKLDivergence
from genmodels.evaluation.metrics.translations import Translations

METRICS: dict[str, type[Metric]] = {
    metric.name: metric
    for metric in (
        Likelihood,
        ReverseKLDivergence,
        Reconstruction,
        ActiveUnits,
        ELBOSurgery,
        LatentTraversal,
        LatentMap,
        AnnealedImportanceSampling,
        Laplace,
        InferenceGaps,
        Translations,
        FID,
        KID,
        InceptionScore,
        PrecisionRecall,
        NearestNeighbours,
        ModeCoverage,
    )
}
"""What `metrics=[...]` may name."""
