"""A latent-variable model: its `log_prob` is one log importance weight. Kingma & Welling 2014, in a dozen lines."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.models import Model

LATENTS = 4


class ToyVAE(Model):
    """z ~ N(0, I), every pixel a categorical variable given z; q(z | x) normal."""

    exact = False

    def __init__(self, shape: tuple[int, ...], levels: int, width: int = 32) -> None:
        super().__init__()
        self.shape, self.levels = tuple(shape), levels
        pixels = torch.Size(shape).numel()
        self.encoder = nn.Sequential(nn.Linear(pixels, width), nn.ReLU(), nn.Linear(width, 2 * LATENTS))
        self.decoder = nn.Sequential(nn.Linear(LATENTS, width), nn.ReLU(), nn.Linear(width, pixels * levels))

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        mean, log_scale = self.encoder(x.flatten(1).float() / self.levels).chunk(2, dim=1)
        eps = torch.randn_like(mean)
        z = mean + log_scale.exp() * eps
        log_q = (-0.5 * eps**2 - log_scale - 0.5 * math.log(2 * math.pi)).sum(1)
        log_prior = (-0.5 * z**2 - 0.5 * math.log(2 * math.pi)).sum(1)
        log_pixels = -F.cross_entropy(self.logits(z), x.flatten(1).long(), reduction="none").sum(1)
        return log_pixels + log_prior - log_q

    def logits(self, z: Tensor) -> Tensor:
        return self.decoder(z).unflatten(1, (self.levels, -1))

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        z = temperature * torch.randn(n, LATENTS, device=next(self.parameters()).device)
        return torch.distributions.Categorical(logits=self.logits(z).mT).sample().to(torch.uint8).view(n, *self.shape)
