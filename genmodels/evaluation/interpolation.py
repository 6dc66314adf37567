"""Walks between encoded test images."""

from pathlib import Path

import torch
from torch import Tensor

from genmodels.evaluation.setting import Setting, on
from genmodels.models.capabilities import required
from genmodels.models.contract import Latent
from genmodels.ranges import at_least

STEPS = 8  # of one walk, both ends included


@torch.no_grad()
def interpolate(setting: Setting, n: int = 64) -> list[Path]:
    """Walk between pairs of test images through the latent space, and write the walks as a picture and as arrays.

    Each row is one pair: 8 steps from one encoded image to the other, both ends included, along a great circle
    (spherical interpolation). A straight line would lead through the middle of the latent space, where a standard
    normal in many dimensions has no mass and the model has seen nothing.

    Args:
        n: images in all, 8 for each pair.

    Returns: the files, see `Setting.write`. `labels` are those of the test image that each step is nearer to.

    Raises:
        UserError: the model cannot encode, or there are too few test images.
    """
    model, place = required(setting.model, Latent, "interpolate=true"), setting.place
    at_least(1, under="", n=n)
    pairs = max(1, n // STEPS)
    x, y = setting.random_test_examples(2 * pairs)
    parts = torch.arange(len(x)).split(setting.batch_size)
    z = torch.cat([model.encode(x[rows].to(place), on(place, _of(rows, y))).cpu() for rows in parts])
    times = torch.linspace(0, 1, STEPS).tolist()
    latents = torch.stack([slerp(z[:pairs], z[pairs:], t) for t in times], dim=1).flatten(0, 1)
    nearer = None
    if y is not None:
        nearer = torch.stack([y[:pairs] if t < 0.5 else y[pairs:] for t in times], dim=1).flatten()
    walks = [
        model.decode(latents[rows].to(place), on(place, _of(rows, nearer))).cpu()
        for rows in torch.arange(len(latents)).split(setting.batch_size)
    ]
    name = f"interpolation_n{len(latents)}_seed{setting.seed}"
    return setting.write(torch.cat(walks), nearer, name, columns=STEPS)


def slerp(first: Tensor, second: Tensor, t: float) -> Tensor:
    """The point at fraction t of the great circle from `first` to `second`, sample by sample (Shoemake 1985).

        sin((1 - t) w) / sin w * first + sin(t w) / sin w * second,    w the angle between them

    Shapes: [B, ...] -> [B, ...]. Nearly parallel latents are connected by a straight line.
    """
    a, b = first.flatten(1), second.flatten(1)
    cosine = torch.nn.functional.cosine_similarity(a, b).clamp(-1, 1)[:, None]
    angle = cosine.acos()
    near = angle.sin() < 1e-4
    angle = torch.where(near, torch.ones_like(angle), angle)
    weight_a = torch.where(near, 1 - t, ((1 - t) * angle).sin() / angle.sin())
    weight_b = torch.where(near, t, (t * angle).sin() / angle.sin())
    return (weight_a * a + weight_b * b).view_as(first)


def _of(rows: Tensor, y: Tensor | None) -> Tensor | None:
    return None if y is None else y[rows]
