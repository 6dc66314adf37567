"""What stays in full precision where a network is run in a lower one."""

import torch
from torch import Tensor


def full(x: Tensor) -> Tensor:
    """x, in float32 if it is in less: a network under autocast hands over bfloat16, which has 8 binary digits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def no_autocast(like: Tensor) -> torch.autocast:
    """Within, products on the device of `like` have the precision of their factors."""
    return torch.autocast(like.device.type, enabled=False)
