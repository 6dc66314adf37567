"""The networks of VAEs by the official codes of Sylvester flows and VampPrior, and those of IAF on MNIST; float64."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.models import ConvNetworks, GatedMLPNetworks, ResNetNetworks
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


def _normalised(w: dict[str, Tensor], name: str) -> Tensor:
    v = w[f"{name}.weight"]
    norm = v.flatten(1).norm(dim=1)
    return v * (w[f"{name}.scale"] / norm).view(-1, *[1] * (v.dim() - 1))


def _residual(w: dict[str, Tensor], name: str, x: Tensor, stride: int = 1) -> Tensor:
    """Noughts all around; with stride 2, over an even size, those above and to the left go unseen."""

    def conv(part: str, h: Tensor, stride: int = 1) -> Tensor:
        h = F.pad(h, (0, 1, 0, 1)) if stride == 2 else F.pad(h, (1, 1, 1, 1))
        return F.conv2d(h, _normalised(w, f"{name}.{part}"), w[f"{name}.{part}.bias"], stride)

    shortcut = conv("shortcut", x, stride) if stride == 2 else x
    return shortcut + conv("second", F.elu(conv("first", F.elu(x), stride)))


def _dense(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ _normalised(w, name).T + w[f"{name}.bias"]


def test_the_residual_encoder_of_iaf_on_mnist() -> None:
    net = filled(ResNetNetworks((2, 3), 5).encoder((1, 8, 8), 4, 0))
    w, h = dict(net.named_parameters()), images((1, 8, 8), 2).double()
    for number, stride in enumerate([2, 1, 2, 1]):
        h = _residual(w, f"blocks.{number}", h, stride)
    assert h.shape == (2, 3, 2, 2)
    hidden = F.elu(_dense(w, "hidden", F.elu(h).flatten(1)))
    assert torch.allclose(net(images((1, 8, 8), 2).double(), None), _dense(w, "output", hidden), rtol=0, atol=1e-10)


def test_the_residual_decoder_of_iaf_on_mnist() -> None:
    net = filled(ResNetNetworks((2, 3), 5).decoder(4, (1, 8, 8), 0))
    z = torch.randn(2, 4, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    w = dict(net.named_parameters())

    def double(part: str, h: Tensor) -> Tensor:
        """Noughts between the rows and columns, then the flipped kernel; the last row and column of what comes go."""
        kernel = _normalised(w, part).transpose(0, 1)
        return F.conv_transpose2d(h, kernel, w[f"{part}.bias"], stride=2)[:, :, : 2 * h.shape[2], : 2 * h.shape[3]]

    h = _dense(w, "spread", F.elu(_dense(w, "hidden", z))).view(2, 3, 2, 2)
    for number in (0, 2):
        h = _residual(w, f"blocks.{number}", h)
        name = f"blocks.{number + 1}"
        inner = F.pad(F.elu(double(f"{name}.first", F.elu(h))), (1, 1, 1, 1))
        added = F.conv2d(inner, _normalised(w, f"{name}.second"), w[f"{name}.second.bias"])
        h = double(f"{name}.shortcut", h) + added
    last = F.conv2d(F.pad(F.elu(h), (1, 1, 1, 1)), _normalised(w, "output"), w["output.bias"])
    assert torch.allclose(net(z, None), last, rtol=0, atol=1e-10)
