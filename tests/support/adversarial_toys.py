"""A generator with its critic, small and without noise, and short games of them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from training_toys import SetRules, standard_callbacks, trainer

from genmodels.data import DataModule
from genmodels.models import DCGAN, Model
from genmodels.objectives import AdaptiveAugment, Adversarial, GradientPenalty, NonSaturating
from genmodels.objectives.penalty import Critic
from genmodels.training import AdversarialModule, StepRules

SHAPE, LEVELS, CLASSES = (1, 8, 8), 17, 10


class Conditional(nn.Module):
    """A perceptron of its input and of the class."""

    def __init__(self, inputs: int, outputs: int, last: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs + CLASSES, 16), nn.Tanh(), nn.Linear(16, outputs), last)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.layers(torch.cat((x.flatten(1), F.one_hot(y, CLASSES).to(x.dtype)), 1))


class QuietPair(Model):
    """Its latents are all ones: what it makes is a function of the label, and a batch's losses of the batch."""

    mixes_batch = False

    def __init__(self) -> None:
        super().__init__()
        self.shape, self.levels, self.num_classes = SHAPE, LEVELS, CLASSES
        self.generator = Conditional(2, 64, nn.Tanh())
        self.discriminator = Conditional(64, 1, nn.Flatten(0))

    def latents(self, n: int) -> Tensor:
        return torch.ones(n, 2, dtype=self._dtype)

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.generator(z, y).view(-1, *SHAPE)

    def scaled(self, x: Tensor) -> Tensor:
        return x.to(self._dtype) / 8 - 1

    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return self.decode(self.latents(n), torch.arange(n) % CLASSES)

    @torch.no_grad()
    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return ((self.generate(z, y) + 1) * 8).round().byte()


class Midway(GradientPenalty):
    """Without its random share."""

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        middle = (real + fake) / 2
        return super().__call__(critic, middle, middle)


def images(batch_size: int) -> DataModule:
    """Scikit-learn's digits as they are."""
    return DataModule("digits", SHAPE, LEVELS, CLASSES, root="unused", batch_size=batch_size, validation=300)


def play(
    folder: Path,
    model: Model,
    objective: Adversarial,
    batch_size: int = 60,
    extra: Sequence[pl.Callback] = (),
    accumulate_grad_batches: int = 1,
    resume: bool = False,
    every_n_steps: int = 1000,
    decay: float | None = None,
    **options: Any,
) -> AdversarialModule:
    """Train, or go on with that."""
    lightning = AdversarialModule(model, objective, partial(torch.optim.SGD, lr=0.1))
    rules = SetRules(StepRules(accumulate_grad_batches))
    run = trainer(folder, [rules, *standard_callbacks(every_n_steps, decay), *extra], **options)
    checkpoint = folder / "checkpoints" / "last.ckpt" if resume else None
    run.fit(lightning, datamodule=images(batch_size), ckpt_path=checkpoint, weights_only=True)
    return lightning


def play_long(
    folder: Path, max_steps: int, resume: bool = False, extra: Sequence[pl.Callback] = ()
) -> AdversarialModule:
    """A game with all that a run of it has to remember: a DCGAN by Adam, augmented, penalised and averaged."""
    torch.manual_seed(0)
    model = DCGAN(SHAPE, LEVELS, width=4, num_latents=8, num_scales=2, critic_norm="none")
    augment = AdaptiveAugment(target=-1.1, ramp_images=100_000)
    objective = NonSaturating(2, penalty=GradientPenalty(), augment=augment)
    lightning = AdversarialModule(model, objective, partial(torch.optim.Adam, lr=1e-3, betas=(0.5, 0.999)))
    run = trainer(folder, [*standard_callbacks(3, 0.95), *extra], max_steps=max_steps)
    checkpoint = folder / "checkpoints" / "last.ckpt" if resume else None
    run.fit(lightning, datamodule=images(120), ckpt_path=checkpoint, weights_only=True)
    return lightning


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}
