"""Batch normalisation as a bijection (Dinh et al. 2017, Section 3.7)."""

import torch
from torch import Tensor

from genmodels.bijections.base import Bijection


class FlowBatchNorm(Bijection):
    """Normalise each channel by the batch in training, by running averages otherwise.

        z = (x - mean) / sqrt(var + eps),   log|det| = -1/2 H W sum_c log(var_c + eps)

    eps 1e-4, momentum 0.1 and no learned scale or shift, as in the official RealNVP code (its running-average trick
    for the loss is off there by default, and so it is absent here). The inverse always uses the running averages:
    there is no batch to take statistics from. In training the statistics of the batch are functions of x, so the map
    is invertible sample by sample only in `eval()`; the log-determinant is the paper's in both modes.

    Args:
        channels: of the input.
        mask: [1, 1, H, W] of 0 and 1; only positions with 1 are normalised and counted. Deviation: the official code
            counts the zeroed positions in mean and variance too, which leaves a variance of 2 on the others.
    Shapes: x, z [B, channels, H, W].
    """

    running_mean: Tensor
    running_var: Tensor
    mask: Tensor | None

    def __init__(self, channels: int, mask: Tensor | None = None, eps: float = 1e-4, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.register_buffer("mask", mask, persistent=False)
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = self.batch_statistics(x)
            self._keep_average(mean, var)
        z = (x - mean[:, None, None]) * torch.rsqrt(var + self.eps)[:, None, None]
        return self._where_masked(z, x), -self._half_log_var(x, var)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.inverse_by(z, self.running_mean, self.running_var)

    def inverse_by(self, z: Tensor, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        """x and log |det dx/dz| for given statistics, [channels] both."""
        x = z * torch.sqrt(var + self.eps)[:, None, None] + mean[:, None, None]
        return self._where_masked(x, z), self._half_log_var(z, var)

    def batch_statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the normalised positions of a batch, [channels] both."""
        if self.mask is None:
            var, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
            return mean, var
        count = x.shape[0] * self.mask.sum()
        mean = (x * self.mask).sum(dim=(0, 2, 3)) / count
        return mean, ((x - mean[:, None, None]).square() * self.mask).sum(dim=(0, 2, 3)) / count

    def _where_masked(self, changed: Tensor, unchanged: Tensor) -> Tensor:
        return changed if self.mask is None else torch.where(self.mask > 0, changed, unchanged)

    def _half_log_var(self, x: Tensor, var: Tensor) -> Tensor:
        positions = x.shape[2] * x.shape[3] if self.mask is None else self.mask.sum()
        return (0.5 * positions * torch.log(var + self.eps).sum()).expand(x.shape[0])

    @torch.no_grad()
    def _keep_average(self, mean: Tensor, var: Tensor) -> None:
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(var.to(self.running_var.dtype), self.momentum)
