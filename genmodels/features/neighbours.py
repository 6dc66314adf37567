"""Nearest neighbours among features, in float64 and a block of rows at a time."""

from collections.abc import Iterator

import torch
from torch import Tensor

_ENTRIES = 2**24  # distances that are held at a time, 128 MiB


def distances(queries: Tensor, points: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of the Euclidean distances between queries [Q, F] and points [P, F]: which ones, and [rows, P]."""
    points = points.double()
    rows = max(1, _ENTRIES // len(points))
    for start in range(0, len(queries), rows):
        block = queries[start : start + rows].double()
        yield slice(start, start + len(block)), torch.cdist(block, points)


def radii(points: Tensor, k: int) -> Tensor:
    """The distance of each point [P, F] to its k-th nearest other one, [P]."""
    found = []
    for rows, block in distances(points, points):
        block[torch.arange(len(block)), torch.arange(rows.start, rows.stop)] = torch.inf  # not to itself
        found.append(block.kthvalue(k, dim=1).values)
    return torch.cat(found)


def nearest(queries: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """The distance of each query [Q, F] to the nearest point [P, F], and which one that is, both [Q]."""
    found = [block.min(dim=1) for _, block in distances(queries, points)]
    return torch.cat([block.values for block in found]), torch.cat([block.indices for block in found])
