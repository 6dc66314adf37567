"""What every metric is: a question to a trained model, answered by a Figure."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

import torch
from torch import Tensor

from genmodels.distributions.modes import Modes
from genmodels.errors import UserError
from genmodels.evaluation.metrics.feature_sets import FeatureSets
from genmodels.evaluation.metrics.figure import Figure
from genmodels.evaluation.team import ALONE, Team
from genmodels.features import FeatureExtractor, chosen_features
from genmodels.models.capabilities import offered, required
from genmodels.models.contract import Batch, Sampler
from genmodels.models.model import Model
from genmodels.objectives import Objective
from genmodels.progress_bar import progress
from genmodels.randomness import seed_for, seeded

Split = Literal["test", "val", "train"]
R = TypeVar("R")


@dataclass(frozen=True)
class Trained:
    """A trained model with the data to measure it on.

    Attributes:
        model: in evaluation mode, on the device to use.
        objective: what it was trained for.
        split: the part of the data that `batches` gives.
        batches: (examples in a batch) -> an iterable of (x, y), x in the data's own type; without augmentation.
        importance_samples: K of importance-weighted figures.
        max_examples: measure on so many of the first examples; None for all.
        batch_size: examples x samples that go through the model at a time.
        seed: of all noise.
        training_batches: as `batches`, of the whole training split in its own order, whatever `split` is.
        picture: (name) -> where a picture of that name belongs.
        annealing_steps: temperatures between prior and posterior, of figures by annealed importance sampling.
        features: in which samples are compared with data, see `chosen_features`; or an extractor.
        num_samples: to draw from the model for figures of its samples.
        modes: of the data's density, where they are known.
        team: the processes that measure it together.
    """

    model: Model
    objective: Objective
    split: Split
    batches: Callable[[int], Iterable[Batch]]
    importance_samples: int = 1
    max_examples: int | None = None
    batch_size: int = 100
    seed: int = 0
    training_batches: Callable[[int], Iterable[Batch]] = lambda _: ()
    picture: Callable[[str], Path] = Path
    annealing_steps: int = 1000
    features: str | FeatureExtractor = "auto"
    num_samples: int = 10_000
    modes: Modes | None = None
    team: Team = ALONE

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def examples(self, samples: int = 1) -> Iterator[Batch]:
        """The batches that are to be measured, cut at `max_examples`, on the model's device.

        Args:
            samples: of each example that go through the model together.
        Raises:
            UserError: there is none.
        """
        seen = 0
        for x, y in progress(self.batches(max(1, self.batch_size // samples)), f"measuring {self.split}"):
            keep = len(x) if self.max_examples is None else min(len(x), self.max_examples - seen)
            if not keep:
                break
            yield x[:keep].to(self.device), None if y is None else y[:keep].to(self.device)
            seen += keep
        if not seen:
            raise UserError(f"there is nothing to measure: the {self.split} split is empty")

    def of_samples(self, work: Callable[[Tensor], R]) -> Iterator[R]:
        """`work` on `num_samples` draws from the model in batches, every class in turn where it is class-conditional.

        The noise of a batch is a function of the seed and the position of the batch. Batches are shared by the team.

        Args:
            work: on a batch, on the model's device; what it gives is on the CPU.
        Raises:
            UserError: it cannot sample.
        """
        sampler = required(self.model, Sampler, "metrics of samples")

        def on_batch(_: int, start: int) -> R:
            size = min(self.batch_size, self.num_samples - start)
            labels = torch.arange(start, start + size, device=self.device) % max(1, self.model.num_classes)
            with torch.no_grad(), seeded(seed_for("samples", self.seed, start), self.device):
                x = sampler.sample(size, labels if self.model.num_classes else None)
            return work(x)  # out here, or it would draw from our generators

        starts = range(0, self.num_samples, self.batch_size)
        yield from self.team.shared(progress(starts, f"drawing {self.num_samples:,} samples"), on_batch)

    @cached_property
    def feature_sets(self) -> FeatureSets:
        """Of samples and data, taken once for all metrics.

        Raises:
            UserError: there are no such features as are asked for.
        """
        chosen = self.features
        if isinstance(chosen, str):
            chosen = chosen_features(chosen, self.model.shape, self.model.levels)
        training = replace(self, split="train", max_examples=None)
        return FeatureSets(
            chosen.to(self.device), self.model.levels, self.device, self.of_samples, self._inputs, training._inputs
        )

    def _inputs(self) -> Iterator[Tensor]:
        """The x of all batches that are to be measured, of the training split in the set's own order and no less."""
        ordered = replace(self, batches=self.training_batches) if self.split == "train" else self
        return (x for x, _ in ordered.examples())

    def first(self, count: int) -> Batch:
        """The first examples that are to be measured, together: `count` of them, or as many as there are."""
        limit = count if self.max_examples is None else min(count, self.max_examples)
        x, y = zip(*replace(self, max_examples=limit).examples(), strict=True)
        return torch.cat(x), None if y[0] is None else torch.cat(y)


class Metric(ABC):
    """One file, one metric. Built without arguments.

    Attributes:
        name: what the user types in `metrics=[...]`.
        is_cheap: whether it is measured unasked.
        needs: the capabilities that a model has to offer for there to be an answer.
        is_shared: whether all processes of a team measure it together, each a part of the work and all with the same
            figure, so that it draws no picture; otherwise the first one does so alone.
    """

    name: ClassVar[str]
    is_cheap: ClassVar[bool] = True
    needs: ClassVar[tuple[type, ...]] = ()
    is_shared: ClassVar[bool] = False

    def applies(self, model: Model, objective: Objective) -> bool:
        """Whether there is an answer for such a model."""
        return all(offered(model, capability) is not None for capability in self.needs)

    def check(self, trained: Trained) -> None:  # noqa: B027  # most metrics need nothing
        """Say what can be known to be wrong before anything is measured.

        Raises:
            UserError: something is.
        """

    @abstractmethod
    def measure(self, trained: Trained) -> Figure:
        """The figure; noise is a function of the seed, and the caller's random state is left as it was.

        Raises:
            UserError: there is nothing to measure, or what comes out is not finite.
        """
