"""Neighbours against all distances at once."""

import pytest
import torch

from genmodels.features import neighbours


@pytest.mark.parametrize("entries", [1, 100, 2**24])
def test_blocks_of_any_size(entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_ENTRIES", entries)
    queries, points = torch.randn(2, 40, 3, generator=torch.Generator().manual_seed(0))
    every = (queries[:, None] - points[None]).double().norm(dim=2)
    distances, rows = neighbours.nearest(queries, points)
    torch.testing.assert_close(distances, every.min(dim=1).values, rtol=1e-6, atol=1e-6)
    assert torch.equal(rows, every.argmin(dim=1))
    among = (points[:, None] - points[None]).double().norm(dim=2).sort(dim=1).values
    torch.testing.assert_close(neighbours.radii(points, 3), among[:, 3], rtol=1e-6, atol=1e-6)


def test_a_copy_is_at_distance_zero_and_a_twin_is_another_point() -> None:
    points = (
        torch.randn(50, 64, generator=torch.Generator().manual_seed(0)) + 100
    )  # far from 0, where rounding is large
    distances, rows = neighbours.nearest(points[7:9], points)
    assert rows.tolist() == [7, 8]
    assert float(distances.max()) < 1e-4
    assert float(neighbours.radii(torch.cat((points, points)), 1).max()) < 1e-4
