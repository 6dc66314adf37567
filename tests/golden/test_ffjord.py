"""FFJORD by Grathwohl et al. 2019 (arXiv:1810.01367) and its official code (rtqichen/ffjord)."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchdiffeq import odeint

from genmodels.bijections import Solver
from genmodels.models import CNF, FFJORD
from genmodels.networks import ConvField, MLPField
from golden.fixed import filled, images
from golden.made_network import State, log_normal, logit_of_pixels

Field = Callable[[Tensor, Tensor], Tensor]
TIGHT = Solver("dopri5", 1e-9, 1e-9, adjoint=False)


def _cnf(field: Field, x: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """`CNF` and `divergence_bf`: z at time T from x at time 0, and minus what the code calls delta_logp."""

    def derivative(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        z = state[0]
        jacobian = torch.autograd.functional.jacobian(lambda z: field(t, z).flatten(1).sum(dim=0), z)
        trace = torch.einsum("ibi->b", jacobian.flatten(2))
        return field(t, z), -trace

    times = torch.cat((torch.zeros_like(end), end))
    z, delta_log_p = odeint(derivative, (x, x.new_zeros(len(x))), times, rtol=1e-9, atol=1e-9, method="dopri5")
    return z[1], -delta_log_p[1]


def _concatsquash_net(w: State, name: str, activation: Field) -> Field:
    """`ODEnet` of `ConcatSquashLinear`: layer(x) * sigmoid(hyper_gate(t)) + hyper_bias(t)."""

    def field(t: Tensor, z: Tensor) -> Tensor:
        for layer in range(3):
            part = f"{name}.layers.{layer}"
            gate = torch.sigmoid(t * w[f"{part}.gate.weight"][:, 0] + w[f"{part}.gate.bias"])
            z = (z @ w[f"{part}.layer.weight"].T + w[f"{part}.layer.bias"]) * gate + t * w[f"{part}.shift.weight"][:, 0]
            z = activation(z) if layer < 2 else z
        return z

    return field


@pytest.mark.parametrize(("name", "activation"), [("tanh", torch.tanh), ("softplus", F.softplus)])
def test_vectors(name: str, activation: Field) -> None:
    """Two bijections one after another, both with T away from where it starts."""
    field = MLPField(5, 2, "concatsquash", name)  # type: ignore[arg-type]
    model = filled(CNF((3,), None, num_blocks=2, field=field, solver=TIGHT))
    w, x = model.state_dict(), torch.sin(torch.arange(6, dtype=torch.float64)).view(2, 3)
    z, log_det = x, torch.zeros(2, dtype=torch.float64)
    for block in range(2):
        part = f"bijection.bijections.{block}"
        net = _concatsquash_net(w, f"{part}.network", activation)
        z, step = _cnf(net, z, w[f"{part}.sqrt_end_time"].view(1) ** 2)
        log_det = log_det + step
    torch.testing.assert_close(model.log_prob(x), log_normal(z) + log_det, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(model.decode(z), x, rtol=1e-6, atol=1e-6)


def _concat_conv_net(w: State, name: str) -> Field:
    """`ODEnet` of `ConcatConv2d`: a channel of t in front of each 3x3 convolution, softplus in between."""

    def field(t: Tensor, z: Tensor) -> Tensor:
        for layer in range(2):
            part = f"{name}.layers.{layer}"
            z = torch.cat((torch.ones_like(z[:, :1]) * t, z), dim=1)
            z = F.conv2d(z, w[f"{part}.weight"], w[f"{part}.bias"], padding=1)
            z = F.softplus(z) if layer == 0 else z
        return z

    return field


def test_images_at_two_scales() -> None:
    """`ODENVP`: bijection, `SqueezeLayer`, bijection, the second half leaves, bijection without a squeeze."""
    shape, levels = (1, 4, 4), 17
    field = ConvField(3, 1)
    model = filled(FFJORD(shape, levels, num_scales=2, num_blocks=1, field=field, solver=TIGHT, trace="exact"))
    w, x = model.state_dict(), images(shape, levels)
    torch.manual_seed(3)
    log_p = model.log_prob(x)
    torch.manual_seed(3)
    v, log_volume = logit_of_pixels(x, torch.rand(x.shape, dtype=torch.float64), levels, 1e-6)

    def block(name: str, z: Tensor) -> tuple[Tensor, Tensor]:
        return _cnf(_concat_conv_net(w, f"{name}.network"), z, w[f"{name}.sqrt_end_time"].view(1) ** 2)

    first = "bijection.bijections.1.bijections"
    inner = f"{first}.1.inner.bijections"
    z, log_det1 = block(f"{first}.0", v.view(2, *shape))
    z = z.view(2, 1, 2, 2, 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(2, 4, 2, 2)
    z, log_det2 = block(f"{inner}.0", z)
    kept, left = z[:, :2], z[:, 2:]
    kept, log_det3 = block(f"{inner}.1.bijections.0.inner.bijections.0", kept)
    latents = torch.cat((kept.flatten(1), left.flatten(1)), dim=1)
    expected = log_normal(latents) + log_det1 + log_det2 + log_det3 + log_volume
    torch.testing.assert_close(log_p, expected, rtol=1e-6, atol=1e-6)


def test_initial_values() -> None:
    """torch's own but for T, which is 1 (0.5 for points of the plane), in every bijection one of its own."""
    model = FFJORD((1, 28, 28), 256)
    ends = [value for name, value in model.state_dict().items() if name.endswith("sqrt_end_time")]
    assert [float(end) ** 2 for end in ends] == pytest.approx([1.0] * 10)
    shapes = [tuple(value.shape) for name, value in model.state_dict().items() if name.endswith("weight")][:4]
    assert shapes == [(64, 2, 3, 3), (64, 65, 3, 3), (64, 65, 3, 3), (1, 65, 3, 3)]
