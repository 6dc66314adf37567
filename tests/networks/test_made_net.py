"""MADE's masks: what each output sees, in every order, and that all of it can be seen."""

import itertools

import pytest
import torch
from torch import Tensor

from genmodels.networks.made_net import MADENet

ORDERS = [torch.arange(5), torch.arange(4, -1, -1), torch.tensor([2, 0, 4, 1, 3])]


def _net(order: Tensor, degrees: str = "sequential", num_hidden: int = 2, context_features: int = 0) -> MADENet:
    torch.manual_seed(0)
    net = MADENet(
        5,
        2,
        [40] * num_hidden,
        order,
        degrees,  # type: ignore[arg-type]
        activation="tanh",
        context_features=context_features,
    ).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    return net


@pytest.mark.parametrize("order", ORDERS, ids=["forward", "backward", "mixed"])
@pytest.mark.parametrize(("degrees", "num_hidden"), itertools.product(["sequential", "random"], [1, 2]))
def test_an_output_sees_all_dimensions_before_its_own_and_no_other(
    order: Tensor, degrees: str, num_hidden: int
) -> None:
    net = _net(order, degrees, num_hidden)
    x = torch.randn(5, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda v: net(v[None])[0], x).view(2, 5, 5)  # [output, of i, to j]
    place = order.argsort()
    expected = place[:, None] > place  # j comes before i
    for of_output in jacobian:
        assert torch.equal(of_output != 0, expected)


@pytest.mark.parametrize("order", ORDERS, ids=["forward", "backward", "mixed"])
@pytest.mark.parametrize("context_features", [0, 3])
def test_unrolling_gives_each_step_the_outputs_of_the_whole_network(order: Tensor, context_features: int) -> None:
    net = _net(order, "random", context_features=context_features)
    x = torch.randn(3, 5, dtype=torch.float64)
    context = torch.randn(3, 3, dtype=torch.float64) if context_features else None
    seen = []

    def choose(i: int, h: Tensor) -> Tensor:
        seen.append(i)
        torch.testing.assert_close(h, net(x, context).view(3, 2, 5)[:, :, i])
        return x[:, i : i + 1]

    torch.testing.assert_close(net.unroll(x, choose, context), x)
    with torch.no_grad():
        torch.testing.assert_close(net.unroll(x, choose, context), x)
    assert seen == [*order.tolist()] * 2


@pytest.mark.parametrize("order", ORDERS, ids=["forward", "backward", "mixed"])
@pytest.mark.parametrize("num_hidden", [1, 2])
def test_the_context_reaches_every_output_and_leaves_the_masks(order: Tensor, num_hidden: int) -> None:
    net = _net(order, num_hidden=num_hidden, context_features=3)
    x, context = torch.randn(5, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    of_x, of_context = torch.autograd.functional.jacobian(lambda v, c: net(v[None], c[None])[0], (x, context))
    assert (of_context != 0).all()
    place = order.argsort()
    for of_output in of_x.view(2, 5, 5):
        assert torch.equal(of_output != 0, place[:, None] > place)


def test_one_dimension_sees_nothing_but_has_an_output() -> None:
    net = MADENet(1, 2, [4], activation="tanh")
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    assert torch.equal(net(torch.tensor([[1.0]])), net(torch.tensor([[2.0]])))
    unrolled = net.unroll(torch.zeros(1, 1), lambda _, h: h[:, :1])
    torch.testing.assert_close(unrolled, net(torch.zeros(1, 1))[:, :1])


def test_a_change_of_the_weights_is_seen_without_gradients() -> None:
    net = _net(ORDERS[0])
    x = torch.randn(2, 5, dtype=torch.float64)
    with torch.no_grad():
        net(x)
        net.unroll(x, lambda i, h: x[:, i : i + 1])
    torch.optim.SGD(net.parameters(), lr=0.1).zero_grad()
    net(x).sum().backward()
    torch.optim.SGD(net.parameters(), lr=0.1).step()
    expected = net(x).detach().view(2, 2, 5)
    with torch.no_grad():
        torch.testing.assert_close(net(x).view(2, 2, 5), expected)
        outputs: dict[int, Tensor] = {}

        def choose(i: int, h: Tensor) -> Tensor:
            outputs[i] = h
            return x[:, i : i + 1]

        net.unroll(x, choose)
    torch.testing.assert_close(torch.stack([outputs[i] for i in range(5)], dim=2), expected)


def test_random_degrees_are_saved() -> None:
    net = _net(ORDERS[2], "random")
    torch.manual_seed(5)
    twin = MADENet(5, 2, [40, 40], ORDERS[0], degrees="random", activation="tanh").double()
    twin.load_state_dict(net.state_dict())
    x = torch.randn(3, 5, dtype=torch.float64)
    assert torch.equal(twin(x), net(x))
    with torch.no_grad():
        assert torch.equal(twin(x), net(x))


def test_starts_as_the_official_code_does() -> None:
    torch.manual_seed(0)
    net = MADENet(64, 2, [512, 512])
    for layer, fan_in in zip(net.layers, (64, 512, 512), strict=True):
        assert float(layer.weight.detach().std()) == pytest.approx((fan_in + 1) ** -0.5, rel=0.02)
        assert not layer.bias.any()


@pytest.mark.parametrize("order", [torch.arange(4), torch.tensor([0, 0, 1, 2, 3])])
def test_an_order_that_is_none_is_refused(order: Tensor) -> None:
    with pytest.raises(ValueError, match="not an order"):
        MADENet(5, 1, [4], order)
