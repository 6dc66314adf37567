"""The Lightning module of two generators that translate between two domains."""

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from genmodels.models.contract import Batch, TranslationPair
from genmodels.objectives.cycle_consistency import CycleConsistency
from genmodels.training.modules.image_history import ImageHistory
from genmodels.training.modules.training_module import TrainingModule

Parts = dict[str, Tensor]


class TranslationModule(TrainingModule):
    """Plays the game of `CycleConsistency`: on every batch an update of both generators, then one of both critics.

    A step of training is both. Images of a batch that belong to neither domain are not looked
    at, and a domain that it lacks adds nothing to the losses.

    Logs `generator_loss` (of the critics alone), `critic_loss`, and the mean absolute errors `cycle` and `identity` of
    pixels from -1 to 1; each is a sum over both domains.
    """

    automatic_optimization = False
    counted = "discriminator"  # the second of the two updates: then both parts have taken the step
    objective: CycleConsistency

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.histories = nn.ModuleList(ImageHistory(self.objective.history, self.model.shape) for _ in range(2))
        self._samples: dict[int, Tensor] = {}

    def trained_parts(self) -> dict[str, nn.Module]:
        return {"generator": self.pair.generators, "discriminator": self.pair.discriminators}

    @property
    def pair(self) -> TranslationPair:
        """The model as what it offers here: the objective has checked that it does."""
        return cast(TranslationPair, self.model)

    def steps_in(self, windows: int) -> int:
        return windows

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        images = self._by_domain(*batch)
        self.step_metrics = {}
        self.update("generator", lambda: self._generators_loss(images))
        shown = {domain: self.histories[domain](v) for domain, v in self._samples.items()}
        self.update("discriminator", lambda: self._critics_loss(images, shown))

    def evaluate_batch(self, x: Tensor, y: Tensor | None) -> Parts:
        images = self._by_domain(x, y)
        parts = self._generator_parts(images)
        return {**parts, "critic_loss": self._sum(self._critic_terms(images, self._samples))}

    # ---- the two losses

    def _generators_loss(self, images: dict[int, Tensor]) -> Tensor:
        parts = self._generator_parts(images)
        self._note(parts)
        distance = parts["cycle"] + self.objective.identity * parts["identity"]
        return parts["generator_loss"] + self.objective.cycle * distance + self._nothing(self.pair.generators)

    def _generator_parts(self, images: dict[int, Tensor]) -> Parts:
        """The unweighted terms; keeps the samples, by the domain that they are to belong to."""
        to, critic, self._samples = self.pair.generators, self.pair.discriminators, {}
        losses, cycles, identities = [], [], []
        for here, x in images.items():
            there = 1 - here
            sample = to[there](x)
            losses.append(self.objective.generator_loss(critic[there](sample)))
            cycles.append((to[here](sample) - x).abs().mean())
            if self.objective.identity:
                identities.append((to[here](x) - x).abs().mean())
            self._samples[there] = sample.detach()
        parts = {"generator_loss": self._sum(losses), "cycle": self._sum(cycles)}
        return {**parts, "identity": self._sum(identities)}

    def _critics_loss(self, images: dict[int, Tensor], samples: dict[int, Tensor]) -> Tensor:
        loss = self._sum(self._critic_terms(images, samples))
        self._note({"critic_loss": loss})
        return loss + self._nothing(self.pair.discriminators)

    def _critic_terms(self, images: dict[int, Tensor], samples: dict[int, Tensor]) -> list[Tensor]:
        critic = self.pair.discriminators
        of_data = [self.objective.critic_loss(critic[domain](x)) for domain, x in images.items()]
        return [*of_data, *(self.objective.critic_loss_of_samples(critic[d](v)) for d, v in samples.items())]

    def _by_domain(self, x: Tensor, y: Tensor | None) -> dict[int, Tensor]:
        """The images of the batch that belong to a domain, floats, by its number; without those it lacks."""
        assert y is not None  # the model needs classes
        chosen = {number: x[y == label] for number, label in enumerate(self.pair.domains)}
        return {number: self.pair.floats(found) for number, found in chosen.items() if len(found)}

    def _sum(self, terms: Iterable[Tensor]) -> Tensor:
        return sum(terms, start=torch.zeros((), device=self.device))

    def _nothing(self, part: nn.Module) -> Tensor:
        """Nought that depends on all weights: what a batch has no image for gets a gradient all the same."""
        return torch.stack([p.sum() for p in part.parameters()]).sum() * 0

    def _note(self, parts: Parts) -> None:
        self.step_metrics.update({f"train/{name}": value.detach() for name, value in parts.items()})
