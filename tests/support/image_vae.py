"""A VAE of small images whose encoder and decoder are linear, and what a picture shows of them."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from genmodels.distributions import Categorical, StandardNormal
from genmodels.evaluation.metrics import Trained
from genmodels.models import VAE, Diagonal, Networks
from genmodels.objectives import ELBO

SIDE, LEVELS, TILE = 8, 17, 66  # pixels of an image and, with the gap, of its tile


class LinearImageNetworks(Networks):
    """No hidden layer; the label plays no part."""

    def encoder(self, shape: Sequence[int], num_features: int, context_features: int) -> nn.Module:
        return _Linear(math.prod(shape), (num_features,))

    def decoder(self, num_latents: int, shape: Sequence[int], context_features: int) -> nn.Module:
        return _Linear(num_latents, tuple(shape))


class _Linear(nn.Linear):
    def __init__(self, inputs: int, shape: tuple[int, ...]) -> None:
        super().__init__(inputs, math.prod(shape))
        self.shape = shape

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(x.flatten(1)).unflatten(1, self.shape)


def image_vae(num_latents: int) -> VAE:
    """On images [1, 8, 8] of 17 levels; random weights, in evaluation mode."""
    shape = (1, SIDE, SIDE)
    likelihood = Categorical(shape, LEVELS)
    posterior, prior = Diagonal(num_latents), StandardNormal([num_latents])
    return VAE(shape, LEVELS, LinearImageNetworks(), posterior, prior, likelihood).eval()


def images(n: int) -> tuple[Tensor, Tensor]:
    """Random images and their labels, 0 to 2 in turn."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(LEVELS, (n, 1, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    return x, torch.arange(n) % 3


def trained(model: VAE, x: Tensor, y: Tensor | None, folder: Path, **more: object) -> Trained:
    def batches(size: int) -> list[tuple[Tensor, Tensor | None]]:
        labels = [None] * len(x.split(size)) if y is None else y.split(size)
        return list(zip(x.split(size), labels, strict=True))

    return Trained(
        model, ELBO(), "test", batches, training_batches=batches, picture=lambda name: folder / f"{name}.png", **more
    )


def tiles(path: str, columns: int) -> np.ndarray:
    """The images of a grid that are 8 pixels high and wide, [rows, columns, 8, 8] from 0 to 255."""
    picture = np.asarray(Image.open(path))
    rows = (picture.shape[0] + 2) // TILE
    assert picture.shape == (rows * TILE - 2, columns * TILE - 2)
    return np.stack([[picture[r * TILE :, c * TILE :][:64:8, :64:8] for c in range(columns)] for r in range(rows)])


def shown(x: Tensor) -> np.ndarray:
    """Images [N, 1, 8, 8] of 17 levels as `tiles` gives them, not yet rounded."""
    return x[:, 0].double().numpy() * 255 / (LEVELS - 1)
