"""The residual blocks of the official codes of WGAN-GP, SN-GAN and BigGAN, in their order of operations; float64."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

State = dict[str, Tensor]


def converged(network: nn.Module) -> None:
    """Run the power iterations until they have the singular values of the weights as they are."""
    network.train()
    for part in network.modules():
        if is_parametrized(part):
            for _ in range(400):
                part.weight  # noqa: B018
    network.eval()


def weight(w: State, name: str) -> Tensor:
    """A layer's weight; under a spectral norm that over its largest singular value."""
    original = w.get(f"{name}.parametrizations.weight.original")
    if original is None:
        return w[f"{name}.weight"]
    return original / torch.linalg.svdvals(original.flatten(1))[0]


def conv(w: State, name: str, x: Tensor) -> Tensor:
    kernel = weight(w, name)
    return F.conv2d(x, kernel, w.get(f"{name}.bias"), padding=kernel.shape[-1] // 2)


def linear(w: State, name: str, x: Tensor) -> Tensor:
    out = x @ weight(w, name).T
    return out + w[f"{name}.bias"] if f"{name}.bias" in w else out


def normalized(w: State, name: str, x: Tensor) -> Tensor:
    mean, variance = (w[f"{name}.running_{which}"].view(1, -1, 1, 1) for which in ("mean", "var"))
    return (x - mean) / torch.sqrt(variance + 1e-5)


def batch_norm(w: State, name: str, x: Tensor) -> Tensor:
    gain, bias = (w[f"{name}.{which}"].view(1, -1, 1, 1) for which in ("weight", "bias"))
    return normalized(w, name, x) * gain + bias


def up(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def down(x: Tensor) -> Tensor:
    return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4


def relu(x: Tensor) -> Tensor:
    return x.clamp(min=0)


def critic_features(
    w: State, x: Tensor, halvings: int, blocks: int, behind: Callable[[int, Tensor], Tensor] = lambda block, h: h
) -> Tensor:
    """The optimised first block, blocks that halve behind their convolutions, blocks that do not, a ReLU.

    Args:
        behind: what follows each block.
    """
    h = conv(w, "blocks.0.conv2", relu(conv(w, "blocks.0.conv1", x)))
    h = behind(0, down(h) + conv(w, "blocks.0.shortcut", down(x)))
    for block in range(1, blocks):
        name = f"blocks.{block}"
        residual = conv(w, f"{name}.conv2", relu(conv(w, f"{name}.conv1", relu(h))))
        if block < halvings:
            h = down(residual) + down(conv(w, f"{name}.shortcut", h))
        else:
            assert f"{name}.shortcut.bias" not in w
            h = residual + h
        h = behind(block, h)
    return relu(h)
