"""Walks between encoded test images."""

from pathlib import Path

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.sampling import drawing_path, write_drawing
from genmodels.evaluation.scoring import check_at_least, chosen_device, random_test_examples
from genmodels.runs.finished_run import Run

STEPS = 8  # of one walk, both ends included


@torch.no_grad()
def interpolate(
    run: Run,
    n: int = 64,
    seed: int = 0,
    batch_size: int = 100,
    device: str = "auto",
    out: str | None = None,
    data_dir: str | None = None,
) -> list[Path]:
    """Walk between pairs of test images through the latent space, and write the walks as a picture and as arrays.

    Each row is one pair: 8 steps from one encoded image to the other, both ends included, along a great circle
    (spherical interpolation). A straight line would lead through the middle of the latent space, where a standard
    normal in many dimensions has no mass and the model has seen nothing.

    Args:
        run: with the weights to use.
        n: images in all, 8 for each pair.
        seed: which test images.
        batch_size: images at a time.
        device, out: as for `draw`.
        data_dir: where the data lies, if no longer where the run found it.

    Returns: the files, as for `draw`. `labels` are those of the test image that each step is nearer to.

    Raises:
        UserError: the model cannot encode, or there are too few test images.
    """
    if not (hasattr(run.model, "encode") and hasattr(run.model, "decode")):
        raise UserError(f"{type(run.model).__name__} cannot interpolate: it has no encode() and decode()")
    check_at_least(1, n=n, batch_size=batch_size)
    pairs = max(1, n // STEPS)
    place = chosen_device(device)
    model = run.model.to(place)
    examples = random_test_examples(run, 2 * pairs, batch_size, seed, data_dir)
    chunks = [(model.encode(x.to(place), _to(y, place)).cpu(), y) for x, y in examples]
    z = torch.cat([chunk for chunk, _ in chunks])
    y = None if chunks[0][1] is None else torch.cat([labels for _, labels in chunks if labels is not None])
    times = torch.linspace(0, 1, STEPS).tolist()
    latents = torch.stack([slerp(z[:pairs], z[pairs:], t) for t in times], dim=1).flatten(0, 1)
    nearer = None
    if y is not None:
        nearer = torch.stack([y[:pairs] if t < 0.5 else y[pairs:] for t in times], dim=1).flatten()
    walks = [
        model.decode(latents[rows].to(place), _to(None if nearer is None else nearer[rows], place)).cpu()
        for rows in torch.arange(len(latents)).split(batch_size)
    ]
    path = drawing_path(run, out, f"interpolation_n{len(latents)}_seed{seed}")
    return write_drawing(torch.cat(walks), nearer, model.levels, path, columns=STEPS)


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


def _to(y: Tensor | None, device: torch.device) -> Tensor | None:
    return None if y is None else y.to(device)
