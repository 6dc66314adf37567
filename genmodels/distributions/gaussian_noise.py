"""Normal noise on pixels in place of dequantisation (Zhai et al. 2024, TARFlow, Section 2.4)."""

import math

import torch
from torch import Tensor

from genmodels.bijections.base import sum_per_sample
from genmodels.distributions.dequantization import Dequantization


class GaussianNoise(Dequantization):
    """v = x / (levels - 1) + s eps, eps ~ N(0, I): noise that is wider than a pixel's cell, and leaves [0, 1].

    A density of such v is none of integers, and its log alone is not comparable with any likelihood of them. With a
    way to read pixels off noisy ones it defines one,

        P(x) = integral of p(v) P(x | v),    P(x | v) = mass of N(v, s^2) in the cell of x,

    the outer cells open, and `forward` returns the log-weight log P(x | v) - log N(v; x / (levels - 1), s^2) that
    makes log p(v) a bound of log P(x), as `Dequantization` promises. It holds no parameter: training is that on
    log p(v) alone. The bound is a loose one: with s several cells wide (6.4 at TARFlow's 0.05 and 256 levels) a pixel
    costs the log2 of about that many cells times sqrt(2 pi e), 4.7 bits, and more.

    Args:
        levels: number of pixel values; x takes 0 .. levels - 1.
        deviation: s, where pixels go from 0 to 1; TARFlow's noise is of pixels from -1 to 1, twice that.
    """

    def __init__(self, levels: int, deviation: float) -> None:
        super().__init__(levels)
        self.deviation = deviation

    def forward(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        clean = self.centre(x, dtype)
        noise = torch.randn_like(clean)
        log_ratio = self._cell_mass(x, noise).log() + 0.5 * noise.square() + math.log(self.deviation)
        log_weight = sum_per_sample(log_ratio) + 0.5 * math.log(2 * math.pi) * x[0].numel()
        return clean + self.deviation * noise, log_weight

    def centre(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """The pixels without noise, [B, ...] in [0, 1]."""
        return x.to(dtype) / (self.levels - 1)

    def quantize(self, v: Tensor) -> Tensor:
        """The pixel value nearest to v, uint8."""
        return torch.round(v * (self.levels - 1)).clamp(0, self.levels - 1).to(torch.uint8)

    def _cell_mass(self, x: Tensor, noise: Tensor) -> Tensor:
        """P(x | v) of v that is `noise` deviations above x, element by element."""
        half_cell = 0.5 / (self.deviation * (self.levels - 1))
        # By symmetry below the mean, where the differences of small numbers are precise.
        away = -noise.abs()
        mass = torch.special.ndtr(away + half_cell) - torch.special.ndtr(away - half_cell)
        mass = torch.where(x == 0, torch.special.ndtr(half_cell - noise), mass)
        return torch.where(x == self.levels - 1, torch.special.ndtr(half_cell + noise), mass)
