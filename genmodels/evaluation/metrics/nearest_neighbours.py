"""Whether samples are copies of training examples."""

import math

import torch

from genmodels.errors import UserError
from genmodels.evaluation.metrics.feature_sets import FeatureSets
from genmodels.evaluation.metrics.figure import Figure, mean_with_error
from genmodels.evaluation.metrics.metric import Trained
from genmodels.evaluation.metrics.sample_metric import SampleMetric, against, sample_figure
from genmodels.features.neighbours import nearest
from genmodels.pictures import is_image, save_grid

_COLUMNS = 10


class NearestNeighbours(SampleMetric):
    """Mean distance of a sample to the nearest training example, over that of a held-out example, in feature space.

    1 is no closer than real images that the model has not seen; much below, the model repeats its training set. Far
    above, it draws what no real image is like: which is no merit, though the figure calls higher better. `parts`: the
    same of the distances that one in a hundred stays below, in which single copies show.

    The picture has rows of samples, each above the row of their nearest training examples.
    """

    name = "nearest_neighbours"
    is_shared = False

    def check(self, trained: Trained) -> None:
        super().check(trained)
        if trained.split == "train":
            raise UserError("metrics=[nearest_neighbours] needs held-out examples: choose split=test or split=val")

    def measure(self, trained: Trained) -> Figure:
        self.check(trained)
        sets = trained.feature_sets
        distances, rows = nearest(sets.drawn.features, sets.training)
        usual, _ = nearest(sets.real, sets.training)
        ratio, error = _ratio(distances, usual)
        low, usually_low = (float(values.quantile(0.01)) for values in (distances, usual))
        parts = {"ratio of the lowest percents": (low / usually_low, None)} if usually_low else {}
        return sample_figure(
            trained,
            "nearest_neighbours",
            ratio,
            error,
            "higher",
            {**against(trained), "num_training": len(sets.training)},
            parts,
            _pictures(trained, sets, rows),
        )


def _ratio(distances: torch.Tensor, usual: torch.Tensor) -> tuple[float, float | None]:
    """Of the means, with its standard error for a given training set (delta method)."""
    (above, above_error), (below, below_error) = mean_with_error(distances), mean_with_error(usual)
    if not below:
        raise UserError("metrics=[nearest_neighbours]: every held-out example is a training example too")
    if above_error is None or below_error is None:
        return above / below, None
    return above / below, math.hypot(above_error, above / below * below_error) / below


def _pictures(trained: Trained, sets: FeatureSets, rows: torch.Tensor) -> tuple[str, ...]:
    levels, samples = trained.model.levels, sets.drawn.first
    if levels is None or not is_image(trained.model.shape):
        return ()
    neighbours = sets.training_examples(rows[: len(samples)])
    columns = min(_COLUMNS, len(samples))
    pairs = zip(samples.split(columns), neighbours.split(columns), strict=True)
    tiles = [row for pair in pairs for row in pair if len(row) == columns]
    path = trained.picture(sets.extractor.figure_name("nearest_neighbours"))
    save_grid(torch.cat(tiles), levels, path, columns)
    return (str(path),)
