"""A model that draws what it is told, and the question a metric asks about it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genmodels.evaluation.metrics import Trained
from genmodels.features import FeatureExtractor
from genmodels.models import Model
from genmodels.models.contract import Batch
from genmodels.objectives import NegativeLogLikelihood


class Replays(Model):
    """Its samples are the rows of `x` from the start on, call by call; it keeps the labels that it was asked for."""

    def __init__(self, x: Tensor, levels: int | None = None, num_classes: int = 0) -> None:
        super().__init__()
        self.shape, self.levels, self.num_classes = tuple(x.shape[1:]), levels, num_classes
        self.x, self.labels, self.position = x, list[int](), 0
        self.parameter = nn.Parameter(torch.zeros(()))

    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        self.labels += [] if y is None else y.tolist()
        self.position += n
        return self.x[self.position - n : self.position]


class Noise(Replays):
    """Standard normal vectors, two each call's own."""

    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return torch.randn(n, *self.shape)


class Logits(FeatureExtractor):
    """The first row of an image of four columns: features and, as they are, logits of four classes."""

    name, num_features, num_classes = "logits", 4, 4

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0, 0, :4].double()

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self(images), self(images)


def asked(model: Model, real: Tensor, training: Tensor | None = None, folder: Path = Path(), **more: Any) -> Trained:
    """Of a model, against these test examples and with these training examples."""

    def of(x: Tensor | None) -> Any:
        def batches(size: int) -> Iterator[Batch]:
            return ((batch, None) for batch in (() if x is None else x.split(size)))

        return batches

    return Trained(
        model,
        NegativeLogLikelihood(),
        more.pop("split", "test"),
        of(real),
        training_batches=of(training),
        picture=lambda name: folder / f"{name}.png",
        **more,
    )
