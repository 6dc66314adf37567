"""Let a model of images by the chain rule finish pictures of the test set."""

from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.sampling import drawing_path, write_drawing
from genmodels.evaluation.scoring import check_at_least, chosen_device, random_test_examples
from genmodels.models import AutoregressiveModel
from genmodels.models.autoregressive.autoregressive_model import Method
from genmodels.progress_bar import progress
from genmodels.runs.finished_run import Run
from genmodels.training.seeding import mixed_seed, seeded

Part = Literal["top_half"]
COLUMNS = 8  # the test image itself, then its completions


def complete(
    run: Run,
    part: Part,
    n: int = 64,
    temperature: float = 1.0,
    method: Method = "cached",
    seed: int = 0,
    device: str = "auto",
    out: str | None = None,
    data_dir: str | None = None,
) -> list[Path]:
    """Keep a part of test images and draw the rest, an exact draw from p(rest | part).

    Each row of the picture is a test image, followed by 7 completions of it.

    Args:
        run: with the weights to use.
        part: what is kept.
        n: images in all, 8 for each test image.
        temperature, method: as for `AutoregressiveModel.sample`.
        seed: of the choice of test images and of the noise.
        device, out: as for `draw`.
        data_dir: where the data lies, if no longer where the run found it.

    Returns: the files, as for `draw`.

    Raises:
        UserError: the model does not draw the part first, or there are too few test images.
    """
    model, place = run.model, chosen_device(device)
    if not isinstance(model, AutoregressiveModel):
        raise UserError(f"complete={part} needs an autoregressive model, and {type(model).__name__} is none")
    check_at_least(1, n=n)
    check_at_least(0, temperature=temperature)
    known = _known(part, model)
    count = max(1, n // COLUMNS)
    ((x, y),) = random_test_examples(run, count, count, seed, data_dir)
    repeated = x.repeat_interleave(COLUMNS - 1, dim=0).to(place)
    labels = None if y is None else y.repeat_interleave(COLUMNS - 1)
    with seeded(mixed_seed(seed, "complete"), place):
        drawn = model.to(place).sample(
            len(repeated),
            labels.to(place) if labels is not None and model.num_classes else None,
            temperature,
            method=method,
            given=repeated,
            known=known,
            track=partial(progress, description="completing"),
        )
    pictures = torch.cat((x[:, None], drawn.cpu().unflatten(0, (count, COLUMNS - 1))), dim=1).flatten(0, 1)
    path = drawing_path(run, out, f"complete_{part}_n{len(pictures)}_t{temperature:g}_seed{seed}")
    shown_labels = None if y is None else y.repeat_interleave(COLUMNS)
    return write_drawing(pictures, shown_labels, model.levels, path, columns=COLUMNS)


def _known(part: Part, model: AutoregressiveModel) -> Tensor:
    """[H, W] of bool."""
    height, width = model.shape[1:]
    known = (torch.arange(height) < height // 2)[:, None].expand(height, width)
    order = model.order.cpu()
    if order[:, known].max() > order[:, ~known].min():
        raise UserError(
            f"complete={part} needs a model that draws this part first, and {type(model).__name__} draws pixels in "
            "another order, so it cannot condition on it"
        )
    return known
