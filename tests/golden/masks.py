"""The masks of PixelRNN (van den Oord et al. 2016, Section 3.4) on convolutions written out in full."""

import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]


def masked_conv(w: State, layer: str, x: Tensor, mask: str, colours: int) -> Tensor:
    """A convolution of which an output sees the rows above, the pixels to the left and earlier colours of its own.

    Channel k belongs to colour k mod `colours`. The kernel that is kept ends on the row of the pixel; its centre is the
    pixel where it is odd in width and has a right half, and its last column otherwise.
    """
    kernel = w[f"{layer}.weight"].clone()
    outputs, inputs, height, width = kernel.shape
    to_both_sides = height > 1
    centre = width // 2 if to_both_sides else width - 1
    for o in range(outputs):
        for i in range(inputs):
            ours, theirs = o % colours, i % colours
            if theirs > ours or (mask == "A" and theirs == ours):
                kernel[o, i, -1, centre] = 0
            kernel[o, i, -1, centre + 1 :] = 0
    x = F.pad(x, (centre, width - 1 - centre, height - 1, 0))
    return F.conv2d(x, kernel, w[f"{layer}.bias"])


def output_layers(w: State, x: Tensor, colours: int) -> Tensor:
    """ReLU and a 1x1 convolution with mask B, as often as there are layers `output.0`, `output.1`, ..."""
    layer = 0
    while f"output.{layer}.weight" in w:
        x = masked_conv(w, f"output.{layer}", x.clamp(min=0), "B", colours)
        layer += 1
    return x
