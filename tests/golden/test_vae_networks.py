"""The networks of VAEs by the official codes of Sylvester flows (models/VAE.py) and VampPrior, in float64."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.models import ConvNetworks, GatedMLPNetworks
from golden.fixed import filled, images


def _in_order(net: nn.Module) -> list[Tensor]:
    """Weights and biases of all layers, the gates' below those of what they gate."""
    return list(net.parameters())


def _gated_conv(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
    (h_weight, g_weight), (h_bias, g_bias) = weight.chunk(2), bias.chunk(2)
    h, g = (F.conv2d(x, w, b, stride, padding) for w, b in ((h_weight, h_bias), (g_weight, g_bias)))
    return h * torch.sigmoid(g)


def _gated_conv_transpose(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int, more: int) -> Tensor:
    (h_weight, g_weight), (h_bias, g_bias) = weight.chunk(2, dim=1), bias.chunk(2)
    h, g = (F.conv_transpose2d(x, w, b, stride, padding, more) for w, b in ((h_weight, h_bias), (g_weight, g_bias)))
    return h * torch.sigmoid(g)


def _gated_dense(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    (h_weight, g_weight), (h_bias, g_bias) = weight.chunk(2), bias.chunk(2)
    return (x @ h_weight.T + h_bias) * torch.sigmoid(x @ g_weight.T + g_bias)


def test_the_encoder_of_sylvesters_code() -> None:
    net = filled(ConvNetworks(2, 6).encoder((1, 28, 28), 4, 0))
    h = x = images((1, 28, 28), 2).double()
    w = _in_order(net)
    for number, (stride, padding) in enumerate([(1, 2), (2, 2), (1, 2), (2, 2), (1, 2), (1, 0)]):
        h = _gated_conv(h, w[2 * number], w[2 * number + 1], stride, padding)
    assert h.shape == (2, 6, 1, 1)
    assert torch.allclose(net(x, None), h.flatten(1) @ w[12].T + w[13], rtol=0, atol=1e-10)


def test_the_decoder_of_sylvesters_code() -> None:
    net = filled(ConvNetworks(2, 6).decoder(4, (1, 28, 28), 0))
    z = torch.randn(2, 4, dtype=torch.double)
    w, h = _in_order(net), z.view(2, 4, 1, 1)
    for number, options in enumerate([(1, 0, 0), (1, 2, 0), (2, 2, 1), (1, 2, 0), (2, 2, 1), (1, 2, 0)]):
        h = _gated_conv_transpose(h, w[2 * number], w[2 * number + 1], *options)
    assert torch.allclose(net(z, None), F.conv2d(h, w[12], w[13]), rtol=0, atol=1e-10)


def test_the_perceptrons_of_vampprior() -> None:
    net = filled(GatedMLPNetworks(5).encoder((1, 4, 4), 6, 0))
    x = images((1, 4, 4), 2).double()
    w = _in_order(net)
    h = _gated_dense(_gated_dense(x.flatten(1), w[0], w[1]), w[2], w[3])
    assert torch.allclose(net(x, None), h @ w[4].T + w[5], rtol=0, atol=1e-10)
