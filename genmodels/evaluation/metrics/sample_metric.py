"""What the figures of a model's samples share."""

from collections.abc import Mapping
from typing import Any, Literal

from genmodels.evaluation.metrics.figure import Figure
from genmodels.evaluation.metrics.metric import Metric, Trained
from genmodels.models.contract import Sampler


class SampleMetric(Metric):
    """It holds `num_samples` draws from the model against the examples of the split, in the space of `features`.

    Published figures are mostly of Inception's features, 50,000 samples and the training split, so of split=train;
    the default, the test split, is the one that a copy of the training set does not win. The figure's protocol says
    all of it, and the figures of other features than Inception's have other names.
    """

    is_cheap = False
    needs = (Sampler,)
    is_shared = True

    def check(self, trained: Trained) -> None:
        trained.feature_sets  # noqa: B018  # raises where there are no such features


def sample_figure(
    trained: Trained,
    base: str,
    mean: float,
    standard_error: float | None,
    direction: Literal["lower", "higher"],
    protocol: Mapping[str, Any],
    parts: Mapping[str, tuple[float, float | None]],
    pictures: tuple[str, ...] = (),
) -> Figure:
    """A plain number about the samples, with the features in its protocol.

    Args:
        base: its name where the features are Inception's.
        protocol: what else two figures must share to be compared.
    """
    extractor = trained.feature_sets.extractor
    return Figure(
        name=extractor.figure_name(base),
        mean=mean,
        standard_error=standard_error,
        unit="",
        direction=direction,
        num_examples=trained.num_samples,
        kind="estimate",
        protocol={
            "num_samples": trained.num_samples,
            **protocol,
            "features": extractor.name,
            "features_sha256": extractor.fingerprint,
            "resizing": extractor.resizing,
            "comparable": extractor.comparability,
        },
        parts=dict(parts),
        pictures=pictures,
        counted="samples",
    )


def against(trained: Trained) -> dict[str, Any]:
    """The part of a protocol that says which data the samples are held against."""
    return {"num_real": len(trained.feature_sets.real), "real": trained.split}
