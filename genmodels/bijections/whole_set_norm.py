"""Batch normalisation between the layers of MAF (Papamakarios et al. 2017, Section 3 and Appendix B)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genmodels.bijections.base import Bijection


class WholeSetBatchNorm(Bijection):
    """Normalise each dimension by the batch in training and by the whole training set otherwise.

        z = exp(gamma) (x - mean) / sqrt(var + eps) + beta,   log|det| = sum gamma - 1/2 log(var + eps)

    Official MAF code: eps 1e-5, gamma and beta learned and starting at 0. Before every validation `set_statistics` is
    to be called with the training set, see `genmodels.training.WholeSetStatistics`. Between these calls
    running averages with momentum 0.1 are kept in the same buffers, so that the layer is also usable without any.
    The inverse always uses the buffers. As in `FlowBatchNorm`, the map is invertible sample by sample only in `eval()`.

    Shapes: x, z [B, features].
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.gamma = nn.Parameter(torch.zeros(features))
        self.beta = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mean, var = self._batch_statistics(x) if self.training else (self.running_mean, self.running_var)
        log_scale = self._log_scale(var)
        return (x - mean) * log_scale.exp() + self.beta, log_scale.sum().expand(x.shape[0])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_scale = self._log_scale(self.running_var)
        x = (z - self.beta) * torch.exp(-log_scale) + self.running_mean
        return x, -log_scale.sum().expand(z.shape[0])

    @torch.no_grad()
    def set_statistics(self, batches: Sequence[Tensor]) -> None:
        """Take mean and variance from all rows of `batches`, each [B, features], of all ranks together."""
        count = _sum_over_ranks([batch.new_tensor(len(batch), dtype=torch.double) for batch in batches])
        mean = _sum_over_ranks([batch.double().sum(dim=0) for batch in batches]) / count
        var = _sum_over_ranks([(batch.double() - mean).square().sum(dim=0) for batch in batches]) / count
        self.running_mean.copy_(mean)
        self.running_var.copy_(var)

    def _log_scale(self, var: Tensor) -> Tensor:
        return self.gamma - 0.5 * torch.log(var + self.eps)

    def _batch_statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        var, mean = torch.var_mean(x, dim=0, correction=0)
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(var.to(self.running_var.dtype), self.momentum)
        return mean, var


def _sum_over_ranks(parts: Sequence[Tensor]) -> Tensor:
    total = torch.stack(list(parts)).sum(dim=0)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(total)
    return total


@torch.no_grad()
def set_statistics(steps: Sequence[Bijection], batches: Sequence[tuple[Tensor, Tensor | None]]) -> None:
    """Give every `WholeSetBatchNorm` among `steps` the statistics of what reaches it from `batches`.

    Layer by layer, each seeing the data as the final statistics of those before it leave it: the result is that of
    the whole set in one batch, in one pass. Holds two copies of the data, no activations of networks.

    Args:
        steps: as in `Compose`, in evaluation mode.
        batches: the training set as the first step sees it, each [B, features], with its context or None; under
            several ranks, this one's share of it.
    """
    last = max((index for index, step in enumerate(steps) if isinstance(step, WholeSetBatchNorm)), default=-1)
    for step in steps[: last + 1]:
        if isinstance(step, WholeSetBatchNorm):
            step.set_statistics([x for x, _ in batches])
        batches = [(step(x, context)[0], context) for x, context in batches]
