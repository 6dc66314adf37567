"""Gated PixelCNN by Equations 2 and 4 and Figure 2 of van den Oord et al. 2016 (arXiv:1606.05328)."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.distributions import Categorical
from genmodels.models import GatedPixelCNN
from golden.fixed import filled, images
from golden.masks import State, masked_conv, output_layers
from golden.scores import categorical

LEVELS, CLASSES, LAYERS = 4, 3, 3


def _gate(a: Tensor) -> Tensor:
    """The first half of the channels through tanh, the second through sigmoid."""
    half = a.shape[1] // 2
    return torch.tanh(a[:, :half]) * torch.sigmoid(a[:, half:])


def _by_the_paper(w: State, x: Tensor, y: Tensor | None, colours: int) -> Tensor:
    x = 2 * x.double() / (LEVELS - 1) - 1
    rows_above = torch.cat((torch.zeros_like(x[:, :, :1]), x[:, :, :-1]), dim=2)
    v, h, seen_by_output = rows_above, x, torch.zeros(())
    for number in range(LAYERS):
        layer = f"layers.{number}"
        first, last = number == 0, number == LAYERS - 1
        kernel = w[f"{layer}.above.weight"]
        height, width = kernel.shape[2:]
        around = F.pad(v, (width // 2, width // 2, height - 1, 0))
        vertical = F.conv2d(around, kernel, w[f"{layer}.above.bias"])
        from_vertical = torch.einsum("oi,bihw->bohw", w[f"{layer}.link.weight"], vertical)
        horizontal = masked_conv(w, f"{layer}.left", h, "A" if first else "B", colours) + from_vertical
        if y is not None:
            of_label = w[f"{layer}.label.weight"].T[y][:, :, None, None]  # of the horizontal gate, then of the vertical
            horizontal = horizontal + of_label[:, : vertical.shape[1]]
            vertical = vertical + (0 if last else of_label[:, vertical.shape[1] :])
        v = _gate(vertical)
        after_gate = masked_conv(w, f"{layer}.out", _gate(horizontal), "B", colours)
        if last:
            seen_by_output = seen_by_output + after_gate
        else:
            half = after_gate.shape[1] // 2
            h = after_gate[:, :half] + (0 if first else h)
            seen_by_output = seen_by_output + after_gate[:, half:]
    return output_layers(w, seen_by_output, colours)


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("gradient", [False, True])
def test_conditionals_and_likelihood_are_the_papers(colours: int, conditional: bool, gradient: bool) -> None:
    """With gradients and without, where the gate is another piece of code."""
    shape = (colours, 6, 5)
    model = filled(GatedPixelCNN(shape, Categorical(shape, LEVELS), LAYERS, 5, 3, 5, 7, conditional, CLASSES))
    w, x, y = model.state_dict(), images(shape, LEVELS), torch.tensor([2, 0]) if conditional else None
    assert w["layers.0.above.weight"].shape[2:] == (2, 5)  # the rows above, not the pixel's own
    assert w["layers.1.above.weight"].shape[2:] == (2, 3)  # down to the current row of features that see rows above
    assert "output.1.weight" in w
    assert "output.2.weight" not in w
    expected = _by_the_paper(w, x, y, colours)
    with torch.set_grad_enabled(gradient):
        torch.testing.assert_close(model.conditionals(x, y), expected, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(model.log_prob(x, y), categorical(expected, x), rtol=1e-10, atol=1e-10)
