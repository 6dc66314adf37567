"""The Lightning module of every generator that is trained against a critic."""

import math
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.features import FrechetMeter
from genmodels.models.contract import AdversarialPair, Batch
from genmodels.objectives.adversarial import FEWEST, Adversarial
from genmodels.randomness import seed_for, seeded
from genmodels.training.modules.training_module import TrainingModule
from genmodels.training.position import is_mid_accumulation, windows_seen
from genmodels.training.recording import record


class AdversarialModule(TrainingModule):
    """Plays an `Adversarial` game: an update of the critic on every batch, of the generator on every n-th.

    A step of training is an update of the generator. Its samples for the critic are made without a gradient but in
    training mode; for its own update they are fresh. Samples take the labels of the batch. Where gradients are
    accumulated, "batch" means a window of batches: the generator's part of it begins when the critic has moved.

    On several devices losses are means over all of a batch, and so are the signs that an augmentation observes; batch
    norm has the statistics of each device's share, and its running averages are those of the first.

    A validation compares samples, drawn as a user draws them, with its data in the objective's features, and logs the
    Fréchet distance beside that of the two halves of the same data, `<figure>_of_data`, which tells its noise.

    Logs `critic_loss`, `generator_loss` and `gap`, the mean score of data minus that of samples: for a Wasserstein
    critic the estimate of the distance. With penalties their values too.
    """

    automatic_optimization = False
    counted = "generator"
    objective: Adversarial

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._window: list[tuple[int, Tensor | None]] = []  # sizes and labels of its batches
        self._real_scores: list[Tensor] = []
        features = self.objective.features(self.model)
        self._meter = None if features is None else FrechetMeter(features, self.model.levels)

    def trained_parts(self) -> dict[str, nn.Module]:
        return {"generator": self.pair.generator, "discriminator": self.pair.discriminator}

    @property
    def pair(self) -> AdversarialPair:
        """The model as what it offers here: the objective has checked that it does."""
        return cast(AdversarialPair, self.model)

    @property
    def shown(self) -> list[str]:
        """Who is ahead: both losses and the gap, and the penalties that the objective has."""
        penalties = [name for name in ("penalty", "generator_penalty") if getattr(self.objective, name) is not None]
        return ["critic_loss", "generator_loss", "gap", *penalties]

    def steps_in(self, windows: int) -> int:
        return windows // self.objective.critic_steps

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        x, y = batch
        critic_updates = windows_seen(self.trainer)
        self.step_metrics = {}
        self._window.append((len(x), y))
        self.update("discriminator", lambda: self._critic_loss(x, y, critic_updates))
        if is_mid_accumulation(self.trainer):
            return
        self._after_critic_step()
        if (critic_updates + 1) % self.objective.critic_steps == 0:
            self.update("generator", *(partial(self._generator_loss, n, labels) for n, labels in self._window))
        self._window = []

    def evaluate_batch(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        real, fake = self._scores(self.pair.scaled(x), self._samples(len(x), y), y)
        return {
            "critic_loss": self.objective.critic_loss(real, fake),
            "generator_loss": self.objective.generator_loss(fake),
            "gap": real.mean() - fake.mean(),
        }

    # ---- how good samples are

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        if self._meter is not None:
            self._meter.to(self.device)
            self._compared = 0

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        if self._meter is None:
            return
        left = math.ceil(self.objective.compared / self.trainer.world_size) - self._compared
        if left <= 0:
            return
        x, y = batch[0][:left], None if batch[1] is None else batch[1][:left]
        with seeded(seed_for("compared samples", self._seed, batch_idx, self.global_rank), self.device):
            self._meter.add_real(x)
            self._meter.add_generated(self.pair.sample(len(x), y if self.model.num_classes else None))
        self._compared += len(x)

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        if self._meter is None or self.selection is None:
            return
        if self.trainer.world_size > 1:
            for part in self._meter.sums():
                torch.distributed.all_reduce(part)
        count = int(sum(half.sums[0] for half in self._meter.real_halves))
        if count < FEWEST:
            raise UserError(
                f"a validation of {count} examples is too small to compare samples with: raise data.validation, or set "
                "objective.compared=0"
            )
        name = f"val/{self.selection.name}"
        record(self.trainer, {name: self._meter.distance(), f"{name}_of_data": self._meter.real_against_real()})

    # ---- the two losses

    def _critic_loss(self, x: Tensor, y: Tensor | None, critic_updates: int) -> Tensor:
        real, samples = self.pair.scaled(x), self._samples(len(x), y)
        real_scores, fake_scores = self._scores(real, samples, y)
        self._real_scores.append(real_scores.detach())
        loss = self.objective.critic_loss(real_scores, fake_scores)
        self._note(critic_loss=loss, gap=real_scores.mean() - fake_scores.mean())
        penalty = self.objective.penalty
        if penalty is None or critic_updates % penalty.every:
            return loss
        with torch.autocast(self.device.type, enabled=False):
            term = penalty(lambda v: self._score(v, y), real, samples.to(real.dtype))
        if term is None:
            return loss
        self._note(penalty=term)
        return loss + penalty.every * term

    def _generator_loss(self, batch_size: int, y: Tensor | None) -> Tensor:
        n = self.objective.generator_batch
        labels = None if y is None else y.repeat(n)
        z = self.pair.latents(n * batch_size)
        loss = self.objective.generator_loss(self._score(self.pair.generate(z, labels), labels))
        self._note(generator_loss=loss)
        penalty = self.objective.generator_penalty
        if penalty is None or self.steps_taken % penalty.every:
            return loss
        with torch.autocast(self.device.type, enabled=False):
            term = penalty(self.pair, z, labels)
        self._note(generator_penalty=term)
        return loss + penalty.every * term

    def _after_critic_step(self) -> None:
        if self.objective.penalty is not None:
            self.objective.penalty.after_step(self.pair.discriminator)
        if self.objective.augment is not None:
            scores: Any = self.all_gather(torch.cat(self._real_scores))
            self.objective.augment.observe(scores.flatten())
        self._real_scores = []

    @torch.no_grad()
    def _samples(self, n: int, y: Tensor | None) -> Tensor:
        """Without a gradient, but in whatever mode the model is in."""
        return self.pair.generate(self.pair.latents(n), y)

    def _scores(self, real: Tensor, samples: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """Of data and samples; in one batch where that is the same, for it is faster."""
        if self.pair.mixes_batch:
            return self._score(real, y), self._score(samples, y)
        labels = None if y is None else y.repeat(2)
        first, second = self._score(torch.cat((real, samples)), labels).split(len(real))
        return first, second

    def _score(self, v: Tensor, y: Tensor | None) -> Tensor:
        augment = self.objective.augment
        seen = augment(v) if augment is not None and self.training else v
        return self.pair.discriminator(seen, y if self.model.num_classes else None)

    def _note(self, **values: Tensor) -> None:
        self.step_metrics.update({f"train/{name}": value.detach() for name, value in values.items()})
