"""Actnorm: what its data-dependent initialisation does, once, in forward order, and across saving."""

import contextlib

import torch

from genmodels.bijections import ActNorm, ActNormConv1x1, Compose, Coupling, Scale, SigmoidAffine
from genmodels.models.flows.glow_net import GlowNet
from genmodels.networks.data_init import initialize, needs_initialization


def test_first_batch_is_standardised_per_channel() -> None:
    x = 3.0 * torch.randn(64, 5, 4, 4, dtype=torch.float64) + torch.arange(5.0).view(5, 1, 1)
    actnorm = ActNorm(5).double()
    initialize(actnorm, lambda: actnorm(x))
    z, _ = actnorm(x)
    torch.testing.assert_close(z.mean(dim=(0, 2, 3)), torch.zeros(5, dtype=torch.float64), atol=1e-9, rtol=0)
    torch.testing.assert_close(
        z.var(dim=(0, 2, 3), correction=0), torch.ones(5, dtype=torch.float64), atol=1e-5, rtol=0
    )


def test_a_constant_channel_is_not_blown_up() -> None:
    x = torch.stack((torch.full((64,), 3.0), torch.randn(64)), dim=1)
    actnorm = ActNorm(2)
    initialize(actnorm, lambda: actnorm(x))
    assert actnorm.scale()[0] == 1.0
    assert actnorm.bias[0] == -3.0


def test_nice_scale_starts_at_unit_variance() -> None:
    x = torch.randn(64, 3, dtype=torch.float64) * torch.tensor([0.01, 1.0, 30.0])
    scale = Scale(3).double()
    initialize(scale, lambda: scale(x))
    torch.testing.assert_close(
        scale(x)[0].std(dim=0, correction=0), torch.ones(3, dtype=torch.float64), atol=1e-3, rtol=0
    )


def test_layers_are_initialised_in_forward_order_and_only_once() -> None:
    torch.manual_seed(0)
    net = GlowNet(2, 4, 16)
    flow = Compose([ActNorm(4), Coupling(net, SigmoidAffine()), ActNorm(4)])
    x = 5.0 + 2.0 * torch.randn(128, 4, 4, 4)
    assert needs_initialization(flow)
    initialize(flow, lambda: flow(x))
    assert not needs_initialization(flow)
    z, _ = flow(x)
    torch.testing.assert_close(z.std(dim=(0, 2, 3)), torch.ones(4), atol=1e-3, rtol=0)
    hidden = net.first(flow.bijections[0](x)[0][:, :2])  # the network's own actnorm saw a normalised input
    torch.testing.assert_close(hidden.mean(dim=(0, 2, 3)), torch.zeros(16), atol=1e-4, rtol=0)

    before = {name: value.clone() for name, value in flow.state_dict().items()}
    initialize(flow, lambda: flow(100.0 * x))
    for name, value in flow.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_loaded_model_is_not_initialised_again() -> None:
    first, second = ActNorm(3), ActNorm(3)
    initialize(first, lambda: first(torch.randn(32, 3) * 4))
    second.load_state_dict(first.state_dict())
    assert not needs_initialization(second)
    initialize(second, lambda: second(torch.randn(32, 3) + 50))
    torch.testing.assert_close(second.bias, first.bias)


def test_training_steps_before_initialisation_leave_the_flag_alone() -> None:
    actnorm = ActNorm(3).train()
    x = torch.randn(8, 3) * 7
    torch.testing.assert_close(actnorm(x)[0], x)
    assert needs_initialization(actnorm)


def test_a_failing_run_leaves_no_layer_waiting_inside_the_forward_pass() -> None:
    actnorm = ActNorm(3)

    def fail() -> None:
        raise RuntimeError("no batch")

    with contextlib.suppress(RuntimeError):
        initialize(actnorm, fail)
    x = torch.randn(8, 3) * 7
    torch.testing.assert_close(actnorm(x)[0], x)


def test_merged_with_the_1x1_convolution_it_is_the_same_map() -> None:
    torch.manual_seed(0)
    merged = ActNormConv1x1(4).double()
    apart = Compose([merged.actnorm, merged.conv])
    x = 3.0 + 2.0 * torch.randn(16, 4, 3, 3, dtype=torch.float64)
    initialize(merged, lambda: merged(x))
    for way, other in ((merged, apart), (merged.inverse, apart.inverse)):
        for value, expected in zip(way(x), other(x), strict=True):
            torch.testing.assert_close(value, expected)
    mixed, _ = merged.actnorm(x)
    torch.testing.assert_close(
        mixed.std(dim=(0, 2, 3), correction=0), torch.ones(4, dtype=torch.float64), atol=1e-5, rtol=0
    )
