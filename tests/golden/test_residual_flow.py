"""Residual Flow by Chen et al. 2019 (arXiv:1906.02735) and its official code (`ResidualFlow`, `iResBlock`)."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.bijections import InvertibleResidual, RussianRoulette
from genmodels.models import ResidualFlow
from golden.fixed import filled, images
from golden.test_iresnet import _operator

SHAPE, LEVELS, SCALES, BLOCKS, DENSE, ALPHA, C = (1, 4, 4), 17, 2, 2, 1, 0.05, 0.98

State = dict[str, Tensor]


def _swish(w: State, name: str, x: Tensor) -> Tensor:
    return x * torch.sigmoid(x * F.softplus(w[f"{name}.beta"])) / 1.1


def _g(w: State, name: str, h: Tensor, is_first: bool) -> Tensor:
    """The network of a block for one x, [C, H, W] or [D]."""
    for index in range(3):
        if not is_first or index > 0:
            h = _swish(w, f"{name}.net.activations.{index - is_first}", h)
        weight, bias = (w[f"{name}.net.layers.{index}.{part}"] for part in ("weight", "bias"))
        operator = weight if h.dim() == 1 else _operator(weight, h.shape[-1])
        weight = weight / max(1.0, float(torch.linalg.svdvals(operator)[0]) / C)
        h = weight @ h + bias if h.dim() == 1 else F.conv2d(h[None], weight, bias, padding=weight.shape[-1] // 2)[0]
    return h


def _block(w: State, name: str, x: Tensor, is_first: bool = False) -> tuple[Tensor, Tensor]:
    z = torch.stack([v + _g(w, name, v, is_first) for v in x])
    log_dets = []
    for v in x:
        jacobian = torch.autograd.functional.jacobian(lambda v: _g(w, name, v, is_first), v).view(v.numel(), -1)
        log_dets.append(torch.linalg.slogdet(torch.eye(v.numel(), dtype=v.dtype) + jacobian).logabsdet)
    return z, torch.stack(log_dets)


def _actnorm(w: State, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """`ActNormNd`: add, then scale."""
    bias, weight = (w[f"{name}.{part}"].view(1, -1, *[1] * (x.dim() - 2)) for part in ("bias", "logs"))
    return (x + bias) * weight.exp(), (weight.expand_as(x[:1])).sum()


def _flow(w: State, x: Tensor, factor_out: bool, squeeze_first: bool) -> tuple[list[Tensor], Tensor]:
    """The latents of each scale, [B, D], and the log-determinant."""
    logit = (ALPHA + (1 - 2 * ALPHA) * x).logit()
    log_det = (F.softplus(logit) + F.softplus(-logit) + math.log(1 - 2 * ALPHA)).flatten(1).sum(dim=1)
    z, name = logit, "bijection.bijections.1"
    if squeeze_first:
        z, name = F.pixel_unshuffle(z, 2), f"{name}.inner"
    z, step = _actnorm(w, f"{name}.bijections.0", z)
    log_det, name, out = log_det + step, f"{name}.bijections.1", []
    for scale in range(SCALES):
        for block in range(BLOCKS):
            z, step = _block(w, f"{name}.bijections.{2 * block}", z, is_first=scale == block == 0)
            z, another = _actnorm(w, f"{name}.bijections.{2 * block + 1}", z)
            log_det = log_det + step + another
        name = f"{name}.bijections.{2 * BLOCKS}.inner"
        if scale < SCALES - 1:
            z = F.pixel_unshuffle(z, 2)
            if factor_out:
                z, left = z.chunk(2, dim=1)
                out.append(left.flatten(1))
                name = f"{name}.bijections.0.inner"
    z = z.flatten(1)
    for block in range(DENSE):
        z, step = _block(w, f"{name}.bijections.{2 * block}", z)
        z, another = _actnorm(w, f"{name}.bijections.{2 * block + 1}", z)
        log_det = log_det + step + another
    return [*out, z], log_det


@pytest.mark.parametrize(("factor_out", "squeeze_first"), [(False, False), (True, False), (True, True)])
def test_log_prob(factor_out: bool, squeeze_first: bool) -> None:
    torch.manual_seed(0)
    shape = (1, 8, 8) if squeeze_first else SHAPE
    model = filled(
        ResidualFlow(
            shape,
            LEVELS,
            SCALES,
            BLOCKS,
            width=3,
            dense_blocks=DENSE,
            dense_width=4,
            squeeze_first=squeeze_first,
            factor_out=factor_out,
        )
    )
    x = images(shape, LEVELS, count=2)
    torch.manual_seed(3)
    log_p = model.log_prob(x)
    torch.manual_seed(3)
    v = (x + torch.rand(x.shape, dtype=torch.double)) / LEVELS
    z, log_det = _flow(model.state_dict(), v, factor_out, squeeze_first)
    z = torch.cat(z, dim=1)
    expected = (-0.5 * (z**2 + math.log(2 * math.pi))).sum(dim=1) + log_det - math.prod(shape) * math.log(LEVELS)
    torch.testing.assert_close(log_p, expected, rtol=1e-4, atol=1e-4)
    # A latent's place in our one tensor differs; what they are does not.
    of_centres = torch.cat(_flow(model.state_dict(), (x.double() + 0.5) / LEVELS, factor_out, squeeze_first)[0], dim=1)
    found = model.encode(x).flatten(1)
    torch.testing.assert_close(found.sort(dim=1).values, of_centres.sort(dim=1).values, rtol=1e-4, atol=1e-4)
    assert torch.equal(model.decode(model.encode(x)), x.to(torch.uint8))


def test_vectors_go_through_dense_blocks_alone() -> None:
    torch.manual_seed(0)
    model, x = filled(ResidualFlow((3,), None, num_blocks=2, width=4)), torch.randn(4, 3, dtype=torch.double)
    w, name = model.state_dict(), "bijection.bijections"
    z, log_det = _actnorm(w, f"{name}.0", x)
    for block in range(2):
        z, step = _block(w, f"{name}.{2 * block + 1}", z, is_first=block == 0)
        z, another = _actnorm(w, f"{name}.{2 * block + 2}", z)
        log_det = log_det + step + another
    expected = (-0.5 * (z**2 + math.log(2 * math.pi))).sum(dim=1) + log_det
    torch.testing.assert_close(model.log_prob(x), expected, rtol=1e-4, atol=1e-4)


def test_the_training_estimate_term_by_term(monkeypatch: pytest.MonkeyPatch) -> None:
    """`_logdetgrad` and `neumann_logdet_estimator` for a probe and a number of terms that are known."""
    torch.manual_seed(0)
    model = filled(ResidualFlow((3,), None, num_blocks=2, width=4)).train()
    block = [m for m in model.modules() if isinstance(m, InvertibleResidual)][1]
    for _ in range(2000):
        block.net.iterate()
    monkeypatch.setattr("genmodels.bijections.log_det_estimators.poisson", _Fixed)
    block.log_det.load_state_dict(RussianRoulette().state_dict())
    x = torch.randn(2, 3, dtype=torch.double)
    torch.manual_seed(5)
    _, log_det = block(x)
    torch.manual_seed(5)
    probe = torch.randn(2, 3, dtype=torch.double)
    # Two exact terms and three more, divided by P(N >= 1), P(N >= 2), P(N >= 3) for a mean of 2.
    tails = [1.0, 1.0, 1 - math.exp(-2), 1 - 3 * math.exp(-2), 1 - 5 * math.exp(-2)]
    w = {f"block.{name}": value for name, value in block.state_dict().items()}
    expected, neumann = torch.zeros(2, dtype=torch.double), []
    for index, (v, eps) in enumerate(zip(x, probe, strict=True)):
        jacobian = torch.autograd.functional.jacobian(lambda v: _g(w, "block", v, False), v)
        power, total = eps, eps
        for k, tail in enumerate(tails, start=1):
            power = power @ jacobian
            expected[index] += (-1) ** (k + 1) / k / tail * (power @ eps)
            total = total + (-1) ** k / tail * power
        neumann.append(total)
    torch.testing.assert_close(log_det.detach(), expected, rtol=1e-5, atol=1e-6)

    v = x.clone().requires_grad_()
    of_g = torch.autograd.grad(block.net(v), v, torch.stack(neumann), create_graph=True)[0]
    bias = block.net.layers[0].bias
    (surrogate,) = torch.autograd.grad((of_g * probe).sum(), bias)
    (found,) = torch.autograd.grad(log_det.sum(), bias)
    torch.testing.assert_close(found, surrogate, rtol=1e-5, atol=1e-6)


class _Fixed:
    """The Poisson law by its formula, but for the draw."""

    def __init__(self, mean: float) -> None:
        self.mean = mean

    def draw(self) -> int:
        return 3

    def tail(self, k: int) -> float:
        return 1 - sum(math.exp(-self.mean) * self.mean**i / math.factorial(i) for i in range(k))


def test_settings_of_the_official_code() -> None:
    """`train_img.py`'s defaults."""
    model = ResidualFlow((3, 32, 32), 256, num_blocks=1)
    (block, *_) = [m for m in model.modules() if isinstance(m, InvertibleResidual)]
    assert isinstance(block.log_det, RussianRoulette)
    assert (block.log_det.law, float(block.log_det.mean), float(block.log_det.success)) == ("poisson", 2.0, 0.5)
    assert (block.log_det.exact_terms, block.log_det.evaluation_terms) == (2, 20)
    assert (block.log_det.gradient, block.log_det.saves_memory) == ("neumann", True)
    assert [layer.bound for layer in block.net.layers] == [0.98] * 3
    assert [layer.weight.shape[-1] for layer in block.net.layers] == [3, 1, 3]
