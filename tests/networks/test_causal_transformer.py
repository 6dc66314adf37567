"""The network of TARFlow: what may depend on what, and guidance between two of its runs."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.bijections import Autoregressive, Standardize
from genmodels.networks.causal_transformer import CausalTransformer
from genmodels.networks.guidance import Guided

TOKENS, FEATURES, CLASSES = 5, 3, 4


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _net() -> CausalTransformer:
    net = CausalTransformer(TOKENS, FEATURES, 2, 8, 2, 2, context_features=CLASSES).double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    return net


def _inputs() -> tuple[Tensor, Tensor]:
    return torch.randn(2, TOKENS, FEATURES).double(), torch.eye(CLASSES).double()[[2, 0]]


def test_a_token_depends_on_all_before_it_and_on_nothing_else() -> None:
    net, (x, context) = _net(), _inputs()
    jacobian = torch.autograd.functional.jacobian(lambda v: net(v, context[:1])[0], x[:1])[:, :, 0]
    depends = jacobian.unflatten(0, (2, TOKENS)).abs().amax(dim=(0, 2, 4)) > 1e-8
    assert torch.equal(depends, torch.ones(TOKENS, TOKENS).tril(-1).bool())
    assert not net(x, context).unflatten(1, (2, TOKENS))[:, :, 0].any()


def test_a_fresh_network_changes_every_token_but_the_first_alike() -> None:
    """Weights of the output layer are 0 at the start and its biases are not, as in the official code."""
    h = CausalTransformer(TOKENS, FEATURES, 2, 8, 1, 1)(torch.randn(2, TOKENS, FEATURES)).unflatten(1, (2, TOKENS))
    assert torch.equal(h[:, :, 1:], h[:1, :, 1:2].expand_as(h[:, :, 1:]))
    assert h[:, :, 1].all()


WAYS: dict[str, Callable[[Autoregressive], Callable[..., tuple[Tensor, Tensor]]]] = {
    "cached": lambda layer: layer.inverse,
    "naive": lambda layer: layer.inverse_by_passes,
    "jacobi": lambda layer: layer.inverse_by_jacobi,
}


@pytest.mark.parametrize("gradient", [False, True], ids=["no-gradient", "gradient"])
@pytest.mark.parametrize("guidance", [None, 1.7])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_invert_is_the_definition(way: str, guidance: float | None, gradient: bool) -> None:
    """x_t = z_t sigma_t + mu_t from the network's whole passes over x_1 .. x_{t-1}, two of them if guided."""
    net, (z, context) = _net(), _inputs()
    x, log_det = z.clone(), z.new_zeros(2)
    with torch.no_grad():
        for t in range(1, TOKENS):
            h = net(x, context)
            if guidance is not None:
                h = h + guidance * t / (TOKENS - 1) * (h - net(x, torch.full_like(context, 0.25)))
            mean, log_sigma = h.unflatten(1, (2, TOKENS))[:, :, t].unbind(1)
            x[:, t] = z[:, t] * log_sigma.exp() + mean
            log_det += log_sigma.sum(dim=1)
    layer = Autoregressive(net if guidance is None else Guided(net, guidance), Standardize())
    with torch.set_grad_enabled(gradient):
        ours, our_log_det = WAYS[way](layer)(z, context)
    torch.testing.assert_close(ours, x, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(our_log_det, log_det, atol=1e-10, rtol=1e-10)


class _FarFromZero(CausalTransformer):
    """A large log-scale for what comes after a token that is exactly 0, as every guess is at first."""

    far = 1000.0

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h = super().forward(x, context).unflatten(1, (2, -1)).clone()
        after_zero = F.pad((x[:, :-1] == 0).all(dim=2), (1, 0))
        h[:, 1][after_zero] = self.far
        return h.flatten(1, 2)


@pytest.mark.parametrize("far", [60.0, 87.0, 1000.0], ids=["square-overflows", "sum-overflows", "itself-overflows"])
@pytest.mark.parametrize("way", ["naive", "jacobi"])
def test_guesses_that_overflow_do_no_harm_to_the_tokens_before_them(way: str, far: float) -> None:
    """Through a layer norm, which squares, a finite guess becomes NaN as well."""
    net = _FarFromZero(TOKENS, FEATURES, 2, 8, 2, 2)
    layer, z = Autoregressive(net, Standardize()), torch.randn(2, TOKENS, FEATURES)
    with torch.no_grad():
        net.outputs.weight.normal_(std=0.1)
        expected, _ = layer.inverse(z)
        net.far = far
        guess = layer.elementwise.inverse(z, net(torch.zeros_like(z)))[0]
        assert guess.square().isinf().any()
        assert guess.isfinite().all() == (far < 100)
        torch.testing.assert_close(WAYS[way](layer)(z)[0], expected)


def test_gradients_through_the_cache_are_those_of_whole_passes() -> None:
    layer, (z, context) = Autoregressive(_net(), Standardize()), _inputs()
    parameters = [p for name, p in layer.named_parameters()]
    gradients = []
    for invert in (layer.inverse, layer.inverse_by_passes):
        x, log_det = invert(z, context)
        gradients.append(torch.autograd.grad((x.square().sum() + log_det.sum()), parameters))
    for cached, whole in zip(*gradients, strict=True):
        torch.testing.assert_close(cached, whole)


def test_no_guidance_is_the_network_itself() -> None:
    net, (x, context) = _net(), _inputs()
    with torch.no_grad():
        torch.testing.assert_close(Guided(net, 0.0)(x, context), net(x, context), atol=1e-14, rtol=1e-14)
