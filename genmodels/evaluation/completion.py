"""Let a model of images by the chain rule finish pictures of the test set."""

from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.evaluation.sampling import rows_of
from genmodels.evaluation.setting import Setting, on
from genmodels.models import Method
from genmodels.models.capabilities import required
from genmodels.models.contract import PixelByPixel
from genmodels.progress_bar import progress
from genmodels.ranges import at_least

Part = Literal["top_half"]
COLUMNS = 8  # the test image itself, then its completions


def complete(
    setting: Setting, part: Part, n: int = 64, temperature: float = 1.0, method: Method = "cached"
) -> list[Path]:
    """Keep a part of test images and draw the rest, an exact draw from p(rest | part).

    Each row of the picture is a test image, followed by 7 completions of it.

    Args:
        part: what is kept.
        n: images in all, a multiple of 8: so many for each test image.
        temperature, method: as for `AutoregressiveModel.sample`.

    Returns: the files, see `Setting.write`.

    Raises:
        UserError: the model does not draw the part first, n is no multiple of 8, or there are too few test images.
    """
    model = setting.model
    sampler = required(model, PixelByPixel, f"complete={part}")
    setting.hold(n=n)
    at_least(0, under="", temperature=temperature)
    known = _known(part, sampler.order.cpu(), type(model).__name__)
    count = rows_of("complete", n, COLUMNS)
    x, y = setting.random_test_examples(count)
    repeated = x.repeat_interleave(COLUMNS - 1, dim=0).to(setting.place)
    labels = None if y is None or not model.num_classes else y.repeat_interleave(COLUMNS - 1)
    with torch.no_grad(), setting.noise("complete"):
        drawn = sampler.sample(
            len(repeated),
            on(setting.place, labels),
            temperature,
            method=method,
            given=repeated,
            known=known,
            track=partial(progress, description="completing"),
        )
    pictures = torch.cat((x[:, None], drawn.cpu().unflatten(0, (count, COLUMNS - 1))), dim=1).flatten(0, 1)
    shown_labels = None if y is None else y.repeat_interleave(COLUMNS)
    name = f"complete_{part}_n{len(pictures)}_t{temperature:g}_seed{setting.seed}"
    return setting.write(pictures, shown_labels, name, columns=COLUMNS)


def _known(part: Part, order: Tensor, model: str) -> Tensor:
    """[H, W] of bool."""
    height, width = order.shape[1:]
    known = (torch.arange(height) < height // 2)[:, None].expand(height, width)
    if order[:, known].max() > order[:, ~known].min():
        raise UserError(
            f"complete={part} needs a model that draws this part first, and {model} draws pixels in another order, so "
            "it cannot condition on it"
        )
    return known
