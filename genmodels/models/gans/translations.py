"""What a translation looks like: images of both domains, there and back again."""

from collections.abc import Iterable

import torch
from torch import Tensor

from genmodels.errors import UserError
from genmodels.models.contract import Batch, Translates


def first_of_each(domains: tuple[int, int], batches: Iterable[Batch], count: int) -> tuple[Tensor, Tensor]:
    """The first `count` images of each domain; fewer of both where there are fewer of one.

    Raises:
        UserError: there is none of one of them.
    """
    found: list[list[Tensor]] = [[], []]
    for x, y in batches:
        if y is not None:
            for images, label in zip(found, domains, strict=True):
                images.extend(x[y == label][: count - len(images)])
        if all(len(images) >= count for images in found):
            break
    number = min(map(len, found))
    if not number:
        lacking = domains[1] if found[0] else domains[0]
        raise UserError(f"there is nothing to translate: no image of class {lacking}")
    first, second = (torch.stack(images[:number]) for images in found)
    return first, second


def there_and_back(model: Translates, images: tuple[Tensor, Tensor]) -> Tensor:
    """Six rows of tiles: x, G(x), F(G(x)), then y, F(y), G(F(y)). Shapes: [n, *shape] each -> [6 n, *shape]."""
    rows = []
    for here, x in enumerate(images):
        there = model.translate(x, 1 - here)
        rows += [x, there, model.translate(there, here)]
    return torch.cat(rows)
