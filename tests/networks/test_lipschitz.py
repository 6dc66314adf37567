"""Spectral norms of layers as the operators that they are."""

import copy

import pytest
import torch
from torch import Tensor, nn

from genmodels.networks.lipschitz import Lipschitz, LipschitzConv2d, LipschitzLinear

SIZE = (5, 4)
LAYERS = {
    "linear, wide": lambda **rest: LipschitzLinear(3, 7, **rest),
    "linear, narrow": lambda **rest: LipschitzLinear(7, 3, **rest),
    "3x3, wide": lambda **rest: LipschitzConv2d(2, 6, 3, SIZE, **rest),
    "3x3, narrow": lambda **rest: LipschitzConv2d(6, 2, 3, SIZE, **rest),
    "1x1": lambda **rest: LipschitzConv2d(4, 4, 1, SIZE, **rest),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(params=LAYERS, ids=lambda name: name.replace(" ", "-"))
def layer(request: pytest.FixtureRequest) -> Lipschitz:
    """With weights too large for its bound of 0.9."""
    layer = LAYERS[request.param](bound=0.9).double().eval()
    nn.init.normal_(layer.weight)
    return layer


def _input_shape(layer: Lipschitz) -> tuple[int, ...]:
    inputs = layer.weight.shape[1]
    return (inputs, *SIZE) if isinstance(layer, LipschitzConv2d) else (inputs,)


def _matrix(layer: Lipschitz, weight: Tensor) -> Tensor:
    """The layer without its bias, by what it does to every unit vector."""
    shape = _input_shape(layer)
    units = torch.eye(torch.Size(shape).numel(), dtype=torch.double).view(-1, *shape)
    return layer.mapped(units, weight).flatten(1).T


def _norm(layer: Lipschitz, weight: Tensor) -> float:
    return float(torch.linalg.svdvals(_matrix(layer, weight))[0])


@torch.no_grad()
def test_the_largest_singular_value_is_the_bound(layer: Lipschitz) -> None:
    assert _norm(layer, layer.weight) > 1.5
    weight = layer.normalized()
    assert _norm(layer, weight) == pytest.approx(0.9, rel=1e-3)
    torch.testing.assert_close(weight / weight.norm(), layer.weight / layer.weight.norm())


@torch.no_grad()
def test_the_kernel_as_a_matrix_has_another_norm() -> None:
    layer = LipschitzConv2d(6, 2, 3, SIZE, bound=0.9).double().eval()
    nn.init.constant_(layer.weight, 0.1)
    assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2) < 0.6 * _norm(layer, layer.weight)


@torch.no_grad()
def test_smaller_weights_are_left_alone(layer: Lipschitz) -> None:
    layer.weight.mul_(0.5 / _norm(layer, layer.weight))
    torch.testing.assert_close(layer.normalized(), layer.weight)


def test_transposed_is_the_transpose(layer: Lipschitz) -> None:
    x = torch.randn(2, *_input_shape(layer), dtype=torch.double, requires_grad=True)
    out = layer.mapped(x, layer.weight)
    v = torch.randn_like(out)
    torch.testing.assert_close(layer.transposed(v, layer.weight), torch.autograd.grad(out, x, v)[0])


def test_the_gradient_is_that_of_the_weight_over_its_true_norm(layer: Lipschitz) -> None:
    layer.train()
    for _ in range(5000 if isinstance(layer, LipschitzConv2d) else 500):
        layer.iterate()
    probe = torch.randn_like(layer.weight)
    (found,) = torch.autograd.grad((layer.normalized() * probe).sum(), layer.weight)
    sigma = torch.linalg.matrix_norm(_matrix(layer, layer.weight), 2)
    (expected,) = torch.autograd.grad((layer.weight * 0.9 / sigma * probe).sum(), layer.weight)
    torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_in_training_the_direction_moves_by_iterate_alone(layer: Lipschitz) -> None:
    layer.train()
    before = layer.direction.clone()
    layer.normalized()
    assert torch.equal(layer.direction, before)
    for _ in range(500):
        layer.iterate()
    assert _norm(layer, layer.normalized()) == pytest.approx(0.9, rel=1e-3)


@torch.no_grad()
def test_so_many_iterations_and_no_more() -> None:
    layer = LipschitzLinear(4, 4, bound=0.9, iterations=2).double().train()
    v = layer.direction
    for _ in range(2):
        v = v @ layer.weight.T @ layer.weight
        v = v / v.norm()
    layer.iterate()
    torch.testing.assert_close(layer.direction, v)


@torch.no_grad()
def test_evaluation_normalises_whatever_weight_is_in_place(layer: Lipschitz) -> None:
    layer.normalized()
    before = layer.direction.clone()
    nn.init.normal_(layer.weight)  # as a loaded or averaged weight would come
    assert _norm(layer, layer.normalized()) == pytest.approx(0.9, rel=1e-3)
    assert torch.equal(layer.direction, before)


def test_evaluation_normalises_the_weight_after_a_fused_step(layer: Lipschitz) -> None:
    """Which leaves the weight's version as it was."""
    with torch.no_grad():
        layer.normalized()
    layer.train()
    layer.iterate()
    nn.init.normal_(layer.weight)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.5, fused=True)
    layer(torch.randn(2, *_input_shape(layer), dtype=torch.double)).sum().backward()
    optimizer.step()
    layer.eval()
    with torch.no_grad():
        assert _norm(layer, layer.normalized()) == pytest.approx(0.9, rel=1e-3)


@torch.no_grad()
def test_the_direction_survives_saving_and_loading(layer: Lipschitz) -> None:
    layer.train()
    layer.iterate()
    other = copy.deepcopy(layer)
    other.direction.normal_()
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.normalized(), layer.normalized())


@torch.no_grad()
def test_a_weight_of_noughts_stays_one(layer: Lipschitz) -> None:
    layer.weight.zero_()
    assert not layer.normalized().any()
    layer.train().iterate()
    assert layer.direction.isfinite().all()
