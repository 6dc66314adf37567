"""The residual block's inverse, and when its network may change."""

import copy

import pytest
import torch
from torch import Tensor

from genmodels.bijections import ActNorm, BruteForce, InvertibleResidual, PowerSeries, RussianRoulette
from genmodels.bijections.residual import without_log_det
from genmodels.models.flows.invertible_residual_flow import dense_net
from genmodels.networks.data_init import initialize
from genmodels.networks.slope_one import LipSwish


@pytest.fixture
def block() -> InvertibleResidual:
    torch.manual_seed(0)
    block = InvertibleResidual(dense_net(2, 8, 1, LipSwish, 0.9, None, is_first=True), BruteForce()).double()
    with torch.no_grad():
        for layer in block.net.layers:
            layer.weight.mul_(5.0)
    return block.eval()


def test_the_inverse_has_the_gradients_of_the_implicit_function(block: InvertibleResidual) -> None:
    z = torch.randn(3, 2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: block.inverse(z), (z,), check_undefined_grad=False)
    beta = block.net.activations[0].beta

    def at(value: Tensor) -> tuple[Tensor, Tensor]:
        other = copy.deepcopy(block)
        other.net.activations[0]._parameters["beta"] = value
        return other.inverse(z.detach())

    assert torch.autograd.gradcheck(at, (beta.detach().clone().requires_grad_(),), check_undefined_grad=False)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_training_iterates_once_a_pass_and_evaluation_never(block: InvertibleResidual, direction: str) -> None:
    calls = []
    block.net.iterate = lambda: calls.append(1)  # type: ignore[method-assign]
    x = torch.randn(3, 2, dtype=torch.double)
    getattr(block, direction)(x)
    assert not calls
    block.train()
    getattr(block, direction)(x)
    assert len(calls) == 1


def test_both_directions_agree_in_training_too(block: InvertibleResidual) -> None:
    block.train()
    for _ in range(200):
        block.net.iterate()
    x = torch.randn(3, 2, dtype=torch.double)
    z, log_det = block(x)
    back, log_det_back = block.inverse(z)
    torch.testing.assert_close(back, x, atol=1e-4, rtol=0)  # another iteration lies between
    torch.testing.assert_close(log_det_back, -log_det, atol=1e-3, rtol=0)


def test_no_contraction_no_inverse_and_a_warning(block: InvertibleResidual) -> None:
    """Multiplied by 1.05 / 0.9, each of two layers; the first of them now is steep where LipSwish is steepest."""
    for layer in block.net.layers:
        layer.bound = 3.0
    with pytest.warns(UserWarning, match=r"was not inverted: in 1000 iterations .* lower model\.lipschitz"):
        block.inverse(torch.randn(50, 2, dtype=torch.double))


def test_overflow_is_no_inverse_either(block: InvertibleResidual) -> None:
    with pytest.warns(UserWarning, match=r"was not inverted: .* moved by nan"):
        block.inverse(torch.full((1, 2), torch.nan, dtype=torch.double))


def test_blocks_do_not_share_their_estimator() -> None:
    estimator = RussianRoulette()
    blocks = [InvertibleResidual(dense_net(2, 4, 1, LipSwish, 0.9, None, True), estimator) for _ in range(2)]
    assert blocks[0].log_det is not blocks[1].log_det


def test_without_log_det_the_maps_are_the_same(block: InvertibleResidual) -> None:
    x = torch.randn(3, 2, dtype=torch.double)
    z, log_det = block(x)
    block.log_det.forward = None  # type: ignore[assignment, method-assign]
    with without_log_det([block]):
        for found, expected in ((block(x), z), (block.inverse(z), x)):
            torch.testing.assert_close(found[0], expected)
            assert not found[1].any()
    assert log_det.all()
    with pytest.raises(TypeError):
        block(x)


def test_training_keeps_g_the_same_for_a_second_backward_pass(block: InvertibleResidual) -> None:
    """Two forward passes before one backward pass: the first one's direction must not have moved under it."""
    block.train()
    block.log_det = PowerSeries()
    x = torch.randn(3, 2, dtype=torch.double)
    first, second = block(x), block(2 * x)
    (first[0].sum() + second[0].sum() + first[1].sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in block.net.parameters())


def test_actnorm_starts_no_channel_from_less_than_the_smallest_variance() -> None:
    norm = ActNorm(2, log_scale_factor=1.0, smallest_variance=0.2).double()
    x = torch.randn(5000, 2, dtype=torch.double) * torch.tensor([0.1, 3.0]) + 1.0
    with torch.no_grad():
        initialize(norm, lambda: norm(x))
        z, _ = norm(x)
    torch.testing.assert_close(norm.logs.detach()[0].exp().item(), 0.2**-0.5)
    assert z.std(dim=0).tolist() == pytest.approx([0.1 / 0.2**0.5, 1.0], rel=0.05)
    assert z.mean(dim=0).abs().max() < 1e-9
