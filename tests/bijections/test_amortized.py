"""Maps whose parameters are the context, against those that have their own."""

import pytest
import torch
from torch import Tensor

from genmodels.bijections import PLANAR, RADIAL, Amortized, Bijection, Compose, MapFamily, Planar, Radial

KINDS = [(PLANAR, Planar, ("w", "b", "v")), (RADIAL, Radial, ("centre", "log_alpha", "raw"))]
Kind = tuple[MapFamily, type[Bijection], tuple[str, ...]]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _context_of(maps: Compose, names: tuple[str, ...]) -> Tensor:
    return torch.cat([getattr(one, name).detach().flatten() for one in maps.bijections for name in names])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("features", [1, 3])
def test_with_one_context_for_all_they_are_the_maps_of_these_parameters(kind: Kind, features: int) -> None:
    family, own, names = kind
    maps = Compose(own(features) for _ in range(3)).double()  # type: ignore[call-arg]
    amortized, x = Amortized(family, features, 3), torch.randn(5, features, dtype=torch.double)
    context = _context_of(maps, names).expand(5, -1)
    assert context.shape == (5, amortized.context_features)
    for found, expected in zip(amortized(x, context), maps(x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    for found, expected in zip(amortized.inverse(x, context), maps.inverse(x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_each_example_has_maps_of_its_own(kind: Kind) -> None:
    amortized = Amortized(kind[0], 3, 2)
    x, context = torch.randn(4, 3).double(), torch.randn(4, amortized.context_features).double()
    z, log_det = amortized(x, context)
    for row in range(4):
        alone, log_det_alone = amortized(x[row : row + 1], context[row : row + 1])
        torch.testing.assert_close(alone[0], z[row])
        jacobian = torch.autograd.functional.jacobian(
            lambda v, c=context[row : row + 1]: amortized(v[None], c)[0][0], x[row]
        )
        torch.testing.assert_close(log_det[row], torch.linalg.slogdet(jacobian).logabsdet, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(log_det_alone[0], log_det[row])
    back, log_det_back = amortized.inverse(z, context)
    torch.testing.assert_close(back, x, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(log_det_back, -log_det, rtol=1e-8, atol=1e-8)


def test_without_a_context_there_are_no_maps() -> None:
    with pytest.raises(ValueError, match="need a context"):
        Amortized(PLANAR, 3, 2)(torch.randn(1, 3))
