"""A GAN: two optimisers, no density. Goodfellow et al. 2014, with the non-saturating loss."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.evaluation import Figure, Metric, Trained, mean_with_error
from genmodels.models import Batch, Model
from genmodels.objectives import Objective
from genmodels.training import TrainingModule

LATENTS = 8


class ToyGAN(Model):
    """Two perceptrons."""

    def __init__(self, shape: tuple[int, ...], levels: int, width: int = 32) -> None:
        super().__init__()
        self.shape, self.levels = tuple(shape), levels
        pixels = torch.Size(shape).numel()
        self.generator = nn.Sequential(nn.Linear(LATENTS, width), nn.ReLU(), nn.Linear(width, pixels), nn.Tanh())
        self.discriminator = nn.Sequential(
            nn.Linear(pixels, width), nn.LeakyReLU(0.2), nn.Dropout(0.1), nn.Linear(width, 1)
        )

    def fakes(self, n: int) -> Tensor:
        return self.generator(torch.randn(n, LATENTS, device=next(self.parameters()).device))

    def as_floats(self, x: Tensor) -> Tensor:
        return x.flatten(1).float() * (2 / (self.levels - 1)) - 1

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        z = temperature * torch.randn(n, LATENTS, device=next(self.parameters()).device)
        pixels = (self.generator(z) + 1) * ((self.levels - 1) / 2)
        return pixels.round().clamp(0, self.levels - 1).to(torch.uint8).view(n, *self.shape)

    def averaged_modules(self) -> list[nn.Module]:
        return [self.generator]


class MinimaxGame(Objective):
    """No figure selects weights: the last ones count."""

    module = "toy_families.GANModule"

    def __init__(self, num_critic: int = 2) -> None:
        self.num_critic = num_critic

    def check(self, model: Model) -> None:
        assert isinstance(model, ToyGAN)

    def selection(self, model: Model) -> None:
        return None


class GANModule(TrainingModule):
    """A step of the generator after every `num_critic`-th step of the discriminator."""

    automatic_optimization = False
    counted = "generator"
    model: ToyGAN
    objective: MinimaxGame

    def trained_parts(self) -> dict[str, nn.Module]:
        return {"generator": self.model.generator, "discriminator": self.model.discriminator}

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        x, _ = batch
        losses = {"train/discriminator_loss": self.update("discriminator", lambda: self.discriminator_loss(x))}
        if (self.trainer.fit_loop.total_batch_idx + 1) % self.objective.num_critic == 0:
            losses["train/generator_loss"] = self.update("generator", lambda: self.generator_loss(len(x)))
        self.step_metrics.update(losses)

    def evaluate_batch(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        return {"discriminator_loss": self.discriminator_loss(x), "generator_loss": self.generator_loss(len(x))}

    def discriminator_loss(self, x: Tensor) -> Tensor:
        real, fake = (
            self.model.discriminator(self.model.as_floats(x)),
            self.model.discriminator(self.model.fakes(len(x)).detach()),
        )
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator_loss(self, n: int) -> Tensor:
        return F.softplus(-self.model.discriminator(self.model.fakes(n))).mean()


class PixelMeanError(Metric):
    """How far the mean grey of samples is from that of the data, in grey levels."""

    name = "pixel_mean_error"

    def applies(self, model: Model, objective: Objective) -> bool:
        return isinstance(model, ToyGAN)

    def measure(self, trained: Trained) -> Figure:
        model = trained.model
        assert isinstance(model, ToyGAN)
        data = torch.cat([x for x, _ in trained.batches(trained.batch_size)]).float()
        with torch.random.fork_rng():
            torch.manual_seed(trained.seed)
            samples = model.sample(len(data)).float()
        mean, error = mean_with_error(samples.flatten(1).mean(1) - data.flatten(1).mean(1))
        return Figure("pixel_mean_error", abs(mean), error, "levels", "lower", len(data), "estimate")
