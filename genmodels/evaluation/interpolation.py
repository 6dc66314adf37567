"""Walks between encoded test images, or between latents of the prior."""

from pathlib import Path

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.sampling import classes_in_turn, labels_in_turn, rows_of
from genmodels.evaluation.setting import Setting, on
from genmodels.models.capabilities import offered, required
from genmodels.models.contract import Decodes, Latent, LatentSampler

STEPS = 8  # of one walk, both ends included


@torch.no_grad()
def interpolate(setting: Setting, n: int = 64, labels: int | list[int] | None = None) -> list[Path]:
    """Walk between pairs of latents, and write the walks as a picture and as arrays.

    Each row is one pair: 8 steps from one end to the other, both included, along a great circle (spherical
    interpolation). A straight line would lead through the middle of the latent space, where a standard normal in many
    dimensions has no mass and the model has seen nothing. The ends are encoded test images, or latents drawn from the
    prior where the model cannot encode.

    Args:
        n: images in all, a multiple of 8: so many for each pair.
        labels: of walks between drawn latents. Each row keeps to one class, since a label has no half: the one given,
            or the rows take those given, by default all, in turn.

    Returns: the files, see `Setting.write`. Between test images `labels` are those of the one that each step is nearer
        to.

    Raises:
        UserError: the model has no latents, n is no multiple of 8, there are too few test images, or the labels do
            not fit.
    """
    setting.hold(n=n)
    pairs = rows_of("interpolate", n, STEPS)
    drawn = offered(setting.model, Latent) is None and offered(setting.model, LatentSampler) is not None
    z, y = _drawn(setting, pairs, labels) if drawn else _encoded(setting, pairs, labels)
    times = torch.linspace(0, 1, STEPS).tolist()
    latents = torch.stack([slerp(z[:pairs], z[pairs:], t) for t in times], dim=1).flatten(0, 1)
    nearer = None
    if y is not None:
        nearer = torch.stack([y[:pairs] if t < 0.5 else y[pairs:] for t in times], dim=1).flatten()
    model, place = required(setting.model, Decodes, "interpolate=true"), setting.place
    walks = [
        model.decode(latents[rows].to(place), on(place, _of(rows, nearer))).cpu()
        for rows in torch.arange(len(latents)).split(setting.batch_size)
    ]
    name = f"interpolation_n{len(latents)}_seed{setting.seed}"
    return setting.write(torch.cat(walks), nearer, name, columns=STEPS)


def _encoded(setting: Setting, pairs: int, labels: int | list[int] | None) -> tuple[Tensor, Tensor | None]:
    """First ends, then last ones: latents [2 * pairs, ...] of test images, and their labels [2 * pairs]."""
    model = required(setting.model, Latent, "interpolate=true")
    if labels is not None:
        raise UserError(f"labels={labels}: walks between test images have the classes of these, so leave labels out")
    x, y = setting.random_test_examples(2 * pairs)
    parts = torch.arange(len(x)).split(setting.batch_size)
    z = [model.encode(x[rows].to(setting.place), on(setting.place, _of(rows, y))).cpu() for rows in parts]
    return torch.cat(z), y


def _drawn(setting: Setting, pairs: int, labels: int | list[int] | None) -> tuple[Tensor, Tensor | None]:
    """The same of the prior."""
    model = required(setting.model, LatentSampler, "interpolate=true")
    y = labels_in_turn(classes_in_turn(setting.model, labels), pairs)
    with setting.noise("interpolate"):
        return model.latents(2 * pairs).cpu(), None if y is None else y.repeat(2)


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
