"""Autoregressive flows: every dimension is changed given those before it (Papamakarios et al. 2017, MAF)."""

from typing import Literal

import torch
from torch import Tensor

from genmodels.bijections.base import Bijection, sum_per_sample
from genmodels.bijections.elementwise import Elementwise
from genmodels.networks.autoregressive_net import AutoregressiveNet

_FARTHEST = 1e15  # of a guess: sums of squares still fit into float32


class Autoregressive(Bijection):
    """z_i = f(x_i; h_i(x_1 .. x_{i-1}, context)), log|det| = sum log f'(x_i).

    From data to latents in one pass of the network: a layer of MAF (Papamakarios et al. 2017, Equation 4). Its
    `Inverse` is a layer of IAF (Kingma et al. 2016, Equation 10), from latents to data in one pass.

    The other direction is found one dimension after the other. `inverse` updates the hidden activations by what each
    new dimension adds, about the cost of one pass. `inverse_by_passes` runs the whole network D times, as the papers
    describe it. `inverse_by_jacobi` runs it until nothing changes any more: at most D times, less where dependence is
    weak, and all dimensions at once, which suits devices that are slow at many small steps.

    With a network over tokens (Zhai et al. 2024, TARFlow) all this is said of tokens x_i in place of dimensions.

    Args:
        net: h; its order of the dimensions is that of this layer. A context enters where it was given
            `context_features`.
        elementwise: f.
    Shapes: x, z [B, D], or [B, T, F] of T tokens.
    """

    def __init__(self, net: AutoregressiveNet, elementwise: Elementwise) -> None:
        super().__init__()
        self.net = net
        self.elementwise = elementwise

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_derivative = self.elementwise(x, self.net(x, context))
        return z, sum_per_sample(log_derivative)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        columns = z.split(1, dim=1)
        log_derivatives = []

        def invert(i: int, h: Tensor) -> Tensor:
            x, log_derivative = self.elementwise.inverse(columns[i], h)
            log_derivatives.append(log_derivative)
            return x

        x = self.net.unroll(z, invert, context)
        return x, sum_per_sample(torch.cat(log_derivatives, dim=1))

    def inverse_by_passes(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The same by D passes: the k-th makes the k-th dimension right."""
        x = torch.zeros_like(z)
        for _ in range(self.net.num_steps):
            x, log_derivative = self.elementwise.inverse(z, self.net(_finite(x), context))
        return x, sum_per_sample(log_derivative)

    @torch.no_grad()
    def inverse_by_jacobi(
        self, z: Tensor, context: Tensor | None = None, tolerance: float = 4.0
    ) -> tuple[Tensor, Tensor]:
        """The same by fixed-point iteration x <- f^-1(z; h(x)) (Song et al. 2021); no gradients.

        Args:
            tolerance: largest change at which to stop, in units of floating-point precision at the size of x.
        """
        x = torch.zeros_like(z)
        for _ in range(self.net.num_steps):
            before = x
            x, log_derivative = self.elementwise.inverse(z, self.net(_finite(x), context))
            precision = torch.finfo(x.dtype).eps * (1.0 + x.abs())
            if ((x - before).abs() <= tolerance * precision).all():
                break
        return x, sum_per_sample(log_derivative)


def _finite(x: Tensor) -> Tensor:
    """A guess to go on from: where nothing is right yet it may overflow, and a mask, which is 0, times that is NaN.

    So may what a network makes of a large one: its square in a layer norm.
    """
    return torch.nan_to_num(x, nan=0.0).clamp(-_FARTHEST, _FARTHEST)


class InvertedBy(Bijection):
    """An autoregressive layer whose `inverse` goes another way: by "naive" passes, or by "jacobi" iteration."""

    def __init__(self, layer: Autoregressive, method: Literal["cached", "naive", "jacobi"]) -> None:
        super().__init__()
        self.layer = layer
        self.method = method

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.layer(x, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.method == "naive":
            return self.layer.inverse_by_passes(z, context)
        if self.method == "jacobi":
            return self.layer.inverse_by_jacobi(z, context)
        return self.layer.inverse(z, context)
