"""The Fréchet distance between samples and data in feature space (Heusel et al. 2017)."""

from genmodels.evaluation.metrics.figure import Figure
from genmodels.evaluation.metrics.metric import Trained
from genmodels.evaluation.metrics.sample_metric import SampleMetric, against, sample_figure
from genmodels.features import Moments, frechet_distance, real_against_real


class FID(SampleMetric):
    """|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) of the features' means and covariances; lower is better, 0 is best.

    Called `fid` with Inception's features, `frechet_vectors` for vectors as they are, `fid_<features>` with others. It
    is biased upwards by about one over the number of samples, so figures of 10,000 and of 50,000 do not compare. How
    much of it is that noise tells the part "real against real": the same distance between two disjoint random parts of
    the real examples, each as large as the samples where there are twice as many examples, else half of them.
    """

    name = "fid"

    def measure(self, trained: Trained) -> Figure:
        sets = trained.feature_sets
        distance = frechet_distance(Moments.of(sets.real), Moments.of(sets.drawn.features))
        size = min(trained.num_samples, len(sets.real) // 2)
        parts = {} if size < 2 else {_noise(size): (real_against_real(sets.real, size, trained.seed), None)}
        return sample_figure(trained, "fid", distance, None, "lower", against(trained), parts)


def _noise(size: int) -> str:
    return f"real against real, {size:,} each"
