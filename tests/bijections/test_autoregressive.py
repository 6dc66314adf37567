"""Autoregressive layers: three inverses that agree, and known flows as special cases."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from genmodels.bijections import Autoregressive, Compose, Coupling, GaussianConditional, Inverse, Standardize
from genmodels.networks.made_net import MADENet


def _layer(order: Tensor | None = None, features: int = 6) -> Autoregressive:
    net = MADENet(features, 2, [32, 32], order, activation="tanh")
    return Autoregressive(net, GaussianConditional())


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("order", [None, torch.tensor([3, 1, 5, 0, 2, 4])], ids=["natural", "mixed"])
def test_all_inverses_agree_to_the_precision_of_the_type(dtype: torch.dtype, order: Tensor | None) -> None:
    layer = _layer(order).to(dtype)
    z = torch.randn(50, 6, dtype=dtype)
    precision = 100 * torch.finfo(dtype).eps
    x, log_det = layer.inverse_by_passes(z)
    with torch.no_grad():
        others = [layer.inverse(z), layer.inverse_by_jacobi(z)]
    for other, other_log_det in [*others, layer.inverse(z)]:
        torch.testing.assert_close(other, x, atol=precision, rtol=precision)
        torch.testing.assert_close(other_log_det, log_det, atol=precision, rtol=precision)


def test_gradients_through_the_inverse_are_those_of_the_plain_loop() -> None:
    layer = _layer().double()
    z = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)

    def gradients(invert: Callable[[Tensor], tuple[Tensor, Tensor]]) -> tuple[Tensor, ...]:
        x, log_det = invert(z)
        return torch.autograd.grad((x.square().sum() + log_det.sum()), [z, *layer.parameters()])

    for fast, plain in zip(gradients(layer.inverse), gradients(layer.inverse_by_passes), strict=True):
        torch.testing.assert_close(fast, plain)


@pytest.mark.parametrize("inverted", [False, True], ids=["autoregressive", "inverse"])
def test_log_det_given_a_context_is_that_of_the_autograd_jacobian(inverted: bool) -> None:
    net = MADENet(4, 2, [16, 16], torch.tensor([2, 0, 3, 1]), activation="tanh", context_features=3)
    layer = Autoregressive(net, GaussianConditional()).double()
    bijection = Inverse(layer) if inverted else layer
    x, context = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 3, dtype=torch.float64)
    z, log_det = bijection(x, context)
    for sample, given, value in zip(x, context, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda v: bijection(v[None], given[None])[0][0], sample)  # noqa: B023
        torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, value)
    with torch.no_grad():
        ways = [layer.inverse_by_passes, layer.inverse_by_jacobi, layer.inverse]
        for back, _ in [way(layer(x, context)[0], context) for way in ways]:
            torch.testing.assert_close(back, x)
    assert not torch.allclose(bijection(x, context + 1)[0], z)


def test_jacobi_stops_early_where_dependence_is_weak() -> None:
    layer = _layer(features=40)
    passes = []
    layer.net.layers[0].register_forward_hook(lambda *_: passes.append(1))
    with torch.no_grad():
        for parameter in layer.net.parameters():
            parameter.mul_(0.3)
    layer.inverse_by_jacobi(torch.randn(5, 40))
    assert 2 <= len(passes) < 20


class _HalfOf(nn.Module):
    """The outputs of a MADE for its last half, as a coupling's network for the first."""

    def __init__(self, net: MADENet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h = self.net(torch.cat((x, torch.zeros_like(x)), dim=1)).unflatten(1, (2, 2, -1))
        return h[:, :, 1].flatten(1) * torch.tensor([1.0, 0.5]).repeat_interleave(x.shape[1])


def _split_made() -> MADENet:
    """A MADE with all hidden units of degree D/2: the first half enters them, only the second half leaves them."""
    net = MADENet(6, 2, [16, 16])
    state = net.state_dict()
    for index in range(2):
        state[f"degrees{index}"] = torch.full((16,), 3)
    net.load_state_dict(state)
    return net


def test_affine_coupling_is_a_special_case_of_maf() -> None:
    net = _split_made()
    maf = Autoregressive(net, GaussianConditional())
    coupling = Coupling(_HalfOf(net), Standardize())
    x = torch.randn(8, 6)
    for ours, expected in zip([*maf(x), *maf.inverse(x)], [*coupling(x), *coupling.inverse(x)], strict=True):
        torch.testing.assert_close(ours, expected)


def test_affine_coupling_is_a_special_case_of_iaf() -> None:
    """Its inverse is an affine coupling of the same halves, so the same masks serve the other direction."""
    net = _split_made()
    iaf = Inverse(Autoregressive(net, GaussianConditional()))
    coupling = Inverse(Coupling(_HalfOf(net), Standardize()))
    x = torch.randn(8, 6)
    for ours, expected in zip([*iaf(x), *iaf.inverse(x)], [*coupling(x), *coupling.inverse(x)], strict=True):
        torch.testing.assert_close(ours, expected)


def test_maximum_likelihood_of_maf_is_reverse_kl_of_the_implicit_iaf() -> None:
    """Papamakarios et al. 2017, Section 3.4 and Appendix A: KL(data || MAF) = KL(what MAF makes of data || noise).

    With data from a known flow its density is known, and both sides are expectations over the data: the first of
    log p(x) - log p_maf(x); the second, with u = f(x), of log p_u(u) - log N(u), where p_u is what the implicit IAF
    makes of the data's density. The sides agree sample by sample, and so do their gradients.
    """
    data = Compose([_layer(torch.arange(5, -1, -1)), _layer()]).double()
    maf = Compose([_layer(), _layer(torch.arange(5, -1, -1))]).double()
    with torch.no_grad():
        x, log_det = data.inverse(torch.randn(500, 6, dtype=torch.float64))
    noise = torch.distributions.Normal(0.0, 1.0)

    def log_data(v: Tensor) -> Tensor:
        z, log_det = data(v)
        return noise.log_prob(z).sum(dim=1) + log_det

    u, log_det = maf(x)
    forward_kl = log_data(x) - (noise.log_prob(u).sum(dim=1) + log_det)

    # The implicit IAF takes the data as its noise and gives u; its density at u follows from the way back.
    iaf = Inverse(maf)
    u_of_iaf, _ = iaf.inverse(x)
    back, log_det_back = iaf(u_of_iaf)
    log_p_u = log_data(back) + log_det_back
    reverse_kl = log_p_u - noise.log_prob(u_of_iaf).sum(dim=1)

    torch.testing.assert_close(reverse_kl, forward_kl, atol=1e-8, rtol=1e-8)
    parameters = list(maf.parameters())
    sides = [torch.autograd.grad(side.mean(), parameters, retain_graph=True) for side in (forward_kl, reverse_kl)]
    for left, right in zip(*sides, strict=True):
        torch.testing.assert_close(left, right, atol=1e-8, rtol=1e-8)
    assert float(forward_kl.detach().mean()) > 0
