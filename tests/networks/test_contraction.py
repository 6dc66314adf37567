"""Contractions: their activations, their maps, and products with their Jacobians."""

import pytest
import torch
from torch import Tensor

from genmodels.models.flows.invertible_residual_flow import conv_net, dense_net
from genmodels.networks.contraction import Contraction
from genmodels.networks.slope_one import ELU, LipSwish, SlopeOne

NETS = {
    "dense, LipSwish": (lambda: dense_net(3, 8, 2, LipSwish, 0.9, None, is_first=False), (3,)),
    "dense, first": (lambda: dense_net(3, 8, 1, LipSwish, 0.9, None, is_first=True), (3,)),
    "convolutions, ELU": (lambda: conv_net(2, (3, 4), 5, ELU, 0.9, None, is_first=False), (2, 3, 4)),
    "convolutions, LipSwish": (lambda: conv_net(2, (3, 4), 5, LipSwish, 0.9, None, is_first=True), (2, 3, 4)),
}


@pytest.fixture(params=NETS, ids=lambda name: name.replace(", ", "-"))
def case(request: pytest.FixtureRequest) -> tuple[Contraction, Tensor]:
    torch.manual_seed(0)
    make, shape = NETS[request.param]
    net = make().double().eval()
    for index, phi in enumerate(m for m in net.modules() if isinstance(m, LipSwish)):
        torch.nn.init.constant_(phi.beta, index - 0.7)
    return net, torch.randn(4, *shape, dtype=torch.double)


def test_it_is_its_layers_behind_its_activations_in_turn(case: tuple[Contraction, Tensor]) -> None:
    net, x = case
    missing = len(net.layers) - len(net.activations)
    h = x
    for index, layer in enumerate(net.layers):
        h = layer(h if index < missing else net.activations[index - missing](h))
    torch.testing.assert_close(net(x), h)
    torch.testing.assert_close(net.linearized(x)[0], h)


def test_products_are_those_of_autograd_with_their_gradients(case: tuple[Contraction, Tensor]) -> None:
    net, x = case
    x.requires_grad_()
    v, w = torch.randn_like(x), torch.randn_like(x)
    parameters = [x, *net.parameters()]
    by_hand = net.linearized(x)[1](v)
    by_autograd = torch.autograd.grad(net(x), x, v, create_graph=True)[0]
    torch.testing.assert_close(by_hand, by_autograd)
    pairs = [torch.autograd.grad(found, parameters, w, allow_unused=True) for found in (by_hand, by_autograd)]
    for found, expected in zip(*pairs, strict=True):
        if expected is not None:  # of biases behind the last activation
            torch.testing.assert_close(torch.zeros_like(expected) if found is None else found, expected)


@pytest.mark.parametrize("beta", [-3.0, 0.5, 4.0])
def test_lipswish_is_the_papers_and_never_steeper_than_one(beta: float) -> None:
    phi = LipSwish().double()
    assert float(phi.beta.detach()) == 0.5
    torch.nn.init.constant_(phi.beta, beta)
    x = torch.linspace(-60, 60, 20001, dtype=torch.double, requires_grad=True)
    b = torch.tensor(beta).double().exp().log1p()
    torch.testing.assert_close(phi(x), x * torch.sigmoid(b * x) / 1.1)
    slope = torch.autograd.grad(phi(x).sum(), x)[0]
    assert 0.99 < float(slope.abs().max()) <= 1.0


@pytest.mark.parametrize("make", [LipSwish, ELU])
def test_slopes_are_derivatives(make: type[SlopeOne]) -> None:
    phi = make().double()
    h = torch.tensor([-30.0, -2.0, -0.3, 0.2, 1.7, 30.0], dtype=torch.double, requires_grad=True)
    slope = torch.autograd.grad(phi.f(h).sum(), h)[0]
    torch.testing.assert_close(phi.slope(h), slope)
    assert torch.autograd.gradcheck(phi.slope, (h,))
