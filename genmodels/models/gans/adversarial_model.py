"""What all generators with a critic share: data in the critic's scale, latents, samples."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from genmodels.errors import UserError
from genmodels.models.data_checks import conditional_classes
from genmodels.models.model import Model
from genmodels.networks.eval_cache import CachesInEval
from genmodels.networks.standing_statistics import has_batch_norm, standing_statistics
from genmodels.randomness import seed_for, seeded
from genmodels.ranges import at_least

_STANDING_BATCHES, _STANDING_SIZE = 16, 64  # Brock's sampling scripts


class AdversarialModel(CachesInEval, Model):
    """x = G(z, y), z ~ p(z), trained against a critic D(x, y) (Goodfellow et al. 2014). It has no likelihood.

    Generator and critic see pixels as numbers from -1 to 1. In evaluation a generator with batch norm uses statistics
    of its weights as they are (averaged ones, say) over 1,024 of its own latents, always the same ones; one with
    spectral norm iterates further on their singular vectors.

    Args:
        generator: (z [B, Z], y [B] or None) -> floats [B, *shape].
        discriminator: (floats [B, *shape], y [B] or None) -> scores [B], larger for what looks real; a logit where the
            loss is one of probabilities.
        shape: (C, H, W), or (D,).
        levels: number of pixel values; None for vectors.
        num_latents: Z.
        conditional: both see the label.
        num_classes: of the data.
        latent: p(z), standard normal or uniform on [-1, 1].
        dequantize: the critic sees (x + u) / levels, u ~ U[0, 1), scaled to [-1, 1], in place of x / (levels - 1): as
            in the official code of WGAN-GP's ResNet and SN-GAN.
        statistics: of the generator's batch norms in evaluation: standing (see above), or the running averages.
    Raises:
        UserError: a size is out of its range, or there are no classes to condition on.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        shape: Sequence[int],
        levels: int | None,
        num_latents: int,
        conditional: bool = False,
        num_classes: int | None = None,
        latent: Literal["normal", "uniform"] = "normal",
        dequantize: bool = False,
        statistics: Literal["standing", "running"] = "standing",
    ) -> None:
        super().__init__()
        at_least(1, num_latents=num_latents)
        self.generator = generator
        self.discriminator = discriminator
        self.shape, self.levels = tuple(shape), levels
        self.num_latents, self.latent_shape = num_latents, (num_latents,)
        self.num_classes = conditional_classes(conditional, num_classes)
        self.latent, self.dequantize, self.statistics = latent, dequantize, statistics

    @property
    def mixes_batch(self) -> bool:
        """Whether a critic's score depends on the rest of its batch."""
        return has_batch_norm(self.discriminator)

    def latents(self, n: int) -> Tensor:
        """`n` draws of z, [n, Z]."""
        z = torch.empty(n, self.num_latents, device=next(self.parameters()).device, dtype=self._dtype)
        return z.normal_() if self.latent == "normal" else z.uniform_(-1, 1)

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """G(z, y), with gradient. Shapes: z [B, Z], y [B] -> floats [B, *shape].

        Raises:
            UserError: the model is class-conditional and there are no labels.
        """
        labels = self._labels(y)
        if self.training or self.statistics == "running":
            return self.generator(z, labels)
        return functional_call(self.generator, self._standing_statistics(), (z, labels))

    def scaled(self, x: Tensor) -> Tensor:
        """Data as the critic sees it, floats [B, *shape]; with fresh noise where it is dequantised."""
        v = x.to(self._dtype)
        if self.levels is None:
            return v
        if self.dequantize:
            return (v + torch.rand_like(v)) * (2 / self.levels) - 1
        return v * (2 / (self.levels - 1)) - 1

    @torch.no_grad()
    def sample(
        self, n: int, y: Tensor | None = None, temperature: float = 1.0, *, truncation: float | None = None
    ) -> Tensor:
        """`n` draws in the data's own type; of a class-conditional model without labels, of classes drawn uniformly.

        Args:
            temperature: multiplies z.
            truncation: numbers of z that lie beyond it are drawn again (Brock et al. 2019, Section 3.1). With the same
                noise the others are the same for every truncation; uniform ones are all scaled instead, which comes
                to the same distribution.
        Raises:
            UserError: `truncation` is out of its range.
        """
        z = self.latents(n)
        if truncation is not None:
            at_least(1e-3, under="", truncation=truncation)
            z = _truncated(z, truncation) if self.latent == "normal" else z * min(1.0, truncation)
        if self.num_classes and y is None:
            y = torch.randint(self.num_classes, (n,), device=z.device)
        return self.decode(z * temperature, y)

    @torch.no_grad()
    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """G(z, y) in the data's own type. Shapes: z [B, Z] -> uint8 [B, C, H, W], or floats [B, D]."""
        return self._as_data(self.generate(z, y))

    def averaged_modules(self) -> list[nn.Module]:
        return [self.generator]

    def _as_data(self, v: Tensor) -> Tensor:
        if self.levels is None:
            return v
        unit = (v + 1) / 2
        cells = (unit * self.levels).floor() if self.dequantize else (unit * (self.levels - 1)).round()
        return cells.clamp(0, self.levels - 1).to(torch.uint8)

    def _labels(self, y: Tensor | None) -> Tensor | None:
        if not self.num_classes:
            return None
        if y is None:
            raise UserError("This model is class-conditional and the data has no labels; set model.conditional=false.")
        return y

    def _standing_statistics(self) -> dict[str, Tensor]:
        def run(generator: nn.Module) -> None:
            z = self.latents(_STANDING_SIZE)
            y = torch.randint(self.num_classes, (len(z),), device=z.device) if self.num_classes else None
            generator(z, y)

        def compute() -> dict[str, Tensor]:
            device = next(self.parameters()).device
            with seeded(seed_for("standing statistics"), device):
                return standing_statistics(self.generator, run, _STANDING_BATCHES)

        return self.cached(compute, *self.generator.parameters())


def _truncated(z: Tensor, largest: float) -> Tensor:
    """z, standard normal, with what lies beyond drawn again until nothing does."""
    while (beyond := z.abs() > largest).any():
        z = torch.where(beyond, torch.randn_like(z), z)
    return z
