"""i-RevNet by Jacobsen et al. 2018 (arXiv:1802.07088) and its official code (jhjacobsen/pytorch-i-revnet)."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.models import IRevNet
from genmodels.models.flows.irevnet import features, irevnet_body
from golden.fixed import filled, images

SHAPE, LEVELS, BLOCKS, STRIDES = (2, 8, 8), 17, (2, 3), (2, 1)

State = dict[str, Tensor]


def _psi(x: Tensor) -> Tensor:
    """`psi(2)` pixel by pixel: rows, then columns of a block count slower than channels."""
    return torch.cat([x[:, :, row::2, column::2] for row in (0, 1) for column in (0, 1)], dim=1)


def _bottleneck(w: State, x: Tensor, stride: int, first: bool) -> Tensor:
    """`bottleneck_block` in evaluation: [BN, ReLU,] conv, BN, ReLU, conv, dropout, BN, ReLU, conv."""
    index = 0
    for conv in range(3):
        if conv or not first:
            mean, var, gain, bias = (
                w[f"{index}.{part}"].view(1, -1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
            )
            x = torch.relu((x - mean) / torch.sqrt(var + 1e-5) * gain + bias)
            index += 2
        kernel = w[f"{index}.weight"]
        x = F.conv2d(x, kernel, stride=stride if conv == 0 else 1, padding=kernel.shape[-1] // 2)
        index += 2 if conv == 1 else 1  # dropout stands behind the second
    return x


def _names(w: State) -> list[str]:
    """Of the blocks' networks, in their order."""
    return list(dict.fromkeys(name.partition(".layers.")[0] + ".layers." for name in w if ".layers." in name))


def _body(w: State, x: Tensor) -> Tensor:
    """`iRevNet.forward` up to `out_bij`, with the halves trading places."""
    x = _psi(x)
    x1, x2 = x.chunk(2, dim=1)
    strides = [s for stage, depth in zip(STRIDES, BLOCKS, strict=True) for s in (stage, *[1] * (depth - 1))]
    for number, (prefix, stride) in enumerate(zip(_names(w), strides, strict=True)):
        own = {name.removeprefix(prefix): value for name, value in w.items() if name.startswith(prefix)}
        new = _bottleneck(own, x2, stride, first=number == 0)
        if stride == 2:
            x1, x2 = F.pixel_unshuffle(x1, 2), F.pixel_unshuffle(x2, 2)  # channels in our order
        x1, x2 = x2, x1 + new
    return torch.cat((x1, x2) if len(strides) % 2 == 0 else (x2, x1), dim=1)


def _filled(sizes: tuple[int, int, int] = (1, 3, 1)) -> IRevNet:
    torch.manual_seed(0)
    model = filled(IRevNet(SHAPE, LEVELS, BLOCKS, STRIDES, kernel_sizes=sizes))
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.3)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    return model


@pytest.mark.parametrize("sizes", [(1, 3, 1), (3, 3, 3)])
def test_log_prob_and_features(sizes: tuple[int, int, int]) -> None:
    model, x = _filled(sizes), images(SHAPE, LEVELS)
    w = model.state_dict()
    torch.manual_seed(3)
    log_p = model.log_prob(x)
    torch.manual_seed(3)
    v = (x + torch.rand(x.shape, dtype=torch.float64)) / LEVELS - 0.5
    expected = _body(w, v)
    body = model.bijection.bijections[1]  # type: ignore[union-attr, index]
    torch.testing.assert_close(features(body(v)[0], STRIDES), expected, rtol=1e-10, atol=1e-10)  # type: ignore[operator]
    (scales,) = (value for name, value in w.items() if name.endswith("log_scale"))
    z = body(v)[0].flatten(1) * scales.exp()  # type: ignore[operator]
    log_prior = (-0.5 * z**2 - 0.5 * math.log(2 * math.pi)).sum(dim=1)
    torch.testing.assert_close(
        log_p, log_prior + scales.sum() - v[0].numel() * math.log(LEVELS), rtol=1e-10, atol=1e-10
    )
    assert torch.equal(model.decode(model.encode(x)), x.to(torch.uint8))


def _parameters_by_the_code(sizes: tuple[int, int, int]) -> int:
    """Of the classifier that --nBlocks 6 16 72 6 --nChannels 24 96 384 1536 --init_ds 2 builds there."""
    total, ins = 0, 3 * 4
    for stage, (channels, depth) in enumerate(zip((24, 96, 384, 1536), (6, 16, 72, 6), strict=True)):
        for block in range(depth):
            half, inside = ins // 2, channels // 4
            total += half * inside * sizes[0] ** 2 + inside**2 * sizes[1] ** 2 + inside * channels * sizes[2] ** 2
            total += 2 * 2 * inside + (2 * half if stage or block else 0)
            ins = 2 * channels
    return total + 2 * ins + 1000 * ins + 1000


@pytest.mark.parametrize(("sizes", "millions"), [((1, 3, 1), 29.2), ((3, 3, 3), 125.12)])
def test_parameters_of_the_paper_and_of_the_released_code(sizes: tuple[int, int, int], millions: float) -> None:
    """29M in the paper's table; 125.12M, as issue 19 of the official repository measures its code."""
    with torch.device("meta"):
        body = irevnet_body(3, (6, 16, 72, 6), (2, 2, 2, 2), kernel_sizes=sizes)
        head = nn.ModuleList([nn.BatchNorm2d(3072), nn.Linear(3072, 1000)])
    count = sum(parameter.numel() for part in (body, head) for parameter in part.parameters())
    assert count == _parameters_by_the_code(sizes)
    assert count / 1e6 == pytest.approx(millions, abs=0.01)


def test_the_body_keeps_volume() -> None:
    model = _filled()
    z, log_det = model.bijection.bijections[1](torch.rand(2, *SHAPE, dtype=torch.float64))  # type: ignore[union-attr, index, operator]
    assert torch.equal(log_det, torch.zeros(2, dtype=torch.float64))
    assert z.shape == (2, *SHAPE)
