"""The memory layout in which convolutions run fastest."""

import torch
from torch import Tensor


def fast_layout(x: Tensor) -> Tensor:
    """x, laid out so that the convolutions that follow (they keep their input's layout) are fast.

    Channels-last on CPU, where it takes 0.8 of the time (oneDNN, measured on the couplings of a small Glow);
    unchanged elsewhere. Shapes: [B, C, H, W] -> the same.
    """
    if x.device.type != "cpu":
        return x
    if x.shape[1] == 1:
        # In memory both layouts of one channel are the same. The strides alone tell convolutions which is meant.
        _, _, height, width = x.shape
        return x.contiguous().as_strided(x.shape, (height * width, 1, width, 1))
    return x.contiguous(memory_format=torch.channels_last)
