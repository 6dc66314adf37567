"""Invertible 1x1 convolution (Kingma & Dhariwal 2018, Section 3.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.bijections.base import Bijection
from genmodels.bijections.lu_matrix import LUMatrix
from genmodels.networks.eval_cache import CachesInEval
from genmodels.networks.full_precision import no_autocast


class InvertibleConv1x1(LUMatrix, CachesInEval, Bijection):
    """A learned matrix across the channels of every pixel.

        z_hw = W x_hw,   log|det| = H * W * log|det W|

    Starts as a random rotation, or close to the identity. Two forms: `full` keeps W and takes its log-determinant by
    `slogdet`, O(C^3), as the official code does by default; `lu` keeps its factors, Equation (10) of the paper, see
    `LUMatrix`.

    Matrices and log-determinants are kept in `eval()`: sampling inverts each layer once, not once a batch.

    Args:
        identity_noise: start at the identity plus normal noise of this deviation (Flow++'s official code: 0.001)
            instead of at a random rotation.
    Shapes: x, z [B, channels, H, W]. The product runs in the input's precision also under autocast.
    """

    def __init__(self, channels: int, *, lu: bool = True, identity_noise: float | None = None) -> None:
        super().__init__()
        noise = torch.randn(channels, channels)
        start = torch.linalg.qr(noise).Q if identity_noise is None else torch.eye(channels) + identity_noise * noise
        self.lu = lu
        if lu:
            self.start_from(start)
        else:
            self.weight = nn.Parameter(start)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        matrix, log_det = self.cached(self.folded, self.weight)
        return multiply_channels(matrix, x), at_every_pixel(log_det, x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        matrix, log_det = self.cached(self.folded_inverse, self.weight)
        return multiply_channels(matrix, z), at_every_pixel(log_det, z)

    def matrix(self) -> Tensor:
        """W, [channels, channels]."""
        return self.product() if self.lu else self.weight

    def folded(self) -> tuple[Tensor, Tensor]:
        """W and log|det W|."""
        return self.matrix(), self._log_det()

    def folded_inverse(self) -> tuple[Tensor, Tensor]:
        """W^-1 and log|det W^-1|."""
        if self.lu:
            return self.inverse_of_product(), -self._log_det()
        return torch.linalg.inv(self.weight.double()).to(self.weight.dtype), -self._log_det()

    def _log_det(self) -> Tensor:
        return self.log_det_of_product() if self.lu else torch.linalg.slogdet(self.weight).logabsdet


def at_every_pixel(log_det: Tensor, x: Tensor) -> Tensor:
    """The log-determinant, [B], of what has `log_det`, a scalar, at each pixel of x [B, C, H, W]."""
    return (x.shape[2] * x.shape[3] * log_det).expand(x.shape[0])


def multiply_channels(matrix: Tensor, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """matrix @ x + bias at every pixel, in x's precision also under autocast. Shapes: x [B, C, H, W]."""
    with no_autocast(x):
        # As a matrix product over channels-last pixels: half the time of a 1x1 convolution for few channels.
        bias = None if bias is None else bias.to(x.dtype)
        return F.linear(x.permute(0, 2, 3, 1), matrix.to(x.dtype), bias).permute(0, 3, 1, 2)
