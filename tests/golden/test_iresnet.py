"""i-ResNet by Behrmann et al. 2019 (arXiv:1811.00995) and its official code (`multiscale_conv_iResNet`)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.models import IResNet
from golden.fixed import filled, images

SHAPE, LEVELS, SCALES, BLOCKS, WIDTH, C = (2, 4, 4), 17, 2, 2, 3, 0.9

State = dict[str, Tensor]


def _operator(kernel: Tensor, side: int) -> Tensor:
    """The matrix of a 'same' convolution on square images, entry by entry."""
    outs, ins, size, _ = kernel.shape
    matrix = torch.zeros(outs, side, side, ins, side, side, dtype=kernel.dtype)
    for row in range(side):
        for column in range(side):
            for dy in range(size):
                for dx in range(size):
                    y, x = row + dy - size // 2, column + dx - size // 2
                    if 0 <= y < side and 0 <= x < side:
                        matrix[:, row, column, :, y, x] = kernel[:, :, dy, dx]
    return matrix.view(outs * side * side, ins * side * side)


def _elu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, torch.exp(x) - 1)


def _block(w: State, name: str, x: Tensor, is_first: bool) -> tuple[Tensor, Tensor]:
    """`conv_iresnet_block` behind its actnorm, which here shifts before it scales."""
    channels, side = x.shape[1:3]
    x = (x + w[f"{name[0]}.bias"].view(1, -1, 1, 1)) * w[f"{name[0]}.logs"].exp().view(1, -1, 1, 1)
    log_det = side * side * w[f"{name[0]}.logs"].sum()

    def g(v: Tensor) -> Tensor:
        h = v.view(1, channels, side, side)
        for index in range(3):
            h = h if is_first and index == 0 else _elu(h)
            kernel, bias = (w[f"{name[1]}.net.layers.{index}.{part}"] for part in ("weight", "bias"))
            sigma = torch.linalg.svdvals(_operator(kernel, side))[0]
            kernel = kernel / max(1.0, float(sigma) / C)
            h = F.conv2d(h, kernel, bias, padding=kernel.shape[-1] // 2)
        return h.flatten()

    z, log_dets = [], []
    for v in x:
        z.append(v + g(v).view_as(v))
        jacobian = torch.autograd.functional.jacobian(g, v.flatten())
        log_dets.append(torch.linalg.slogdet(torch.eye(v.numel(), dtype=v.dtype) + jacobian).logabsdet)
    return torch.stack(z), log_det + torch.stack(log_dets)


def _squeeze(x: Tensor) -> Tensor:
    """`squeeze`: row, column, colour, the last counting fastest."""
    batch, channels, height, width = x.shape
    x = x.view(batch, channels, height // 2, 2, width // 2, 2).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(batch, 4 * channels, height // 2, width // 2)


def _flow(w: State, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """The latents in the order in which they leave: of each split the first half."""
    out, log_det, name = [], torch.zeros(len(x), dtype=x.dtype), "bijection.bijections.1"
    for scale in range(SCALES):
        x = _squeeze(x)
        for block in range(BLOCKS):
            names = [f"{name}.inner.bijections.{2 * block + part}" for part in (0, 1)]
            x, step = _block(w, names, x, is_first=scale == block == 0)
            log_det = log_det + step
        if scale < SCALES - 1:
            first, x = x.chunk(2, dim=1)
            out.append(first)
            name = f"{name}.inner.bijections.{2 * BLOCKS}.inner"
    return [*out, x], log_det


def _places() -> Tensor:
    """Where each latent's number lies in our one tensor, in the order of `_flow`: by sending numbers through it."""
    x = torch.arange(math.prod(SHAPE), dtype=torch.double).view(1, *SHAPE)
    first, rest = _squeeze(x).chunk(2, dim=1)
    return torch.cat([first.flatten(), _squeeze(rest).flatten()]).long()


def test_log_prob_and_latents() -> None:
    torch.manual_seed(0)
    model = filled(IResNet(SHAPE, LEVELS, SCALES, BLOCKS, WIDTH))
    w, x = model.state_dict(), images(SHAPE, LEVELS, count=3)
    assert sum(name.endswith("log_scale") for name in w) == 1
    torch.manual_seed(3)
    log_p = model.log_prob(x)
    torch.manual_seed(3)
    v = (x + torch.rand(x.shape, dtype=torch.double)) / LEVELS - 0.5
    z, log_det = _flow(w, v)
    mu, logstd = (w[f"bijection.bijections.2.inner.bijection.{part}"][_places()] for part in ("bias", "log_scale"))
    noise = (torch.cat([part.flatten(1) for part in z], dim=1) - mu) / logstd.exp()
    log_prior = (-0.5 * noise**2 - logstd - 0.5 * math.log(2 * math.pi)).sum(dim=1)
    expected = log_prior + log_det - math.prod(SHAPE) * math.log(LEVELS)
    torch.testing.assert_close(log_p, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(model.decode(model.encode(x)), x.to(torch.uint8))
    v = (x.double() + 0.5) / LEVELS - 0.5
    noise = (torch.cat([part.flatten(1) for part in _flow(w, v)[0]], dim=1) - mu) / logstd.exp()
    torch.testing.assert_close(model.encode(x).flatten(1)[:, _places()], noise, rtol=1e-4, atol=1e-4)
