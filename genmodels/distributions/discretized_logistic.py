"""The discretised logistic of the ResNet VAE with IAF (Kingma et al. 2016, Appendix C.5) and of VampPrior."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.distributions.pixels import PixelLikelihood
from genmodels.networks.full_precision import full

Scale = Literal["scalar", "channel", "pixel"]

_SMALLEST_LOG_SCALE = -7.0
_LARGEST_LOG_SCALE = 20.0  # wider ones would leave a bin no mass in float32
_OFFICIAL_LOG_SCALES = (-4.5, 0.0)
_FIRST_LOG_SCALE = -2.0
_FLOOR = 1e-7
_SMALLEST_NOISE = 1e-7  # the logistic of 0 would be infinite


class DiscretizedLogistic(PixelLikelihood):
    """Independent logistics for the colours of a pixel, cut into `levels` bins of the line from -1/2 to 1/2.

        P(x) = sigma((e + h - mu) / s) - sigma((e - mu) / s),   e = x / levels - 1/2,   h = 1 / levels

    In params come the means of the colours and, for scale="pixel", then their log-scales.

    Args:
        scale: "scalar", one learned number (official code of the ResNet VAE); "channel", one for each colour (its
            paper); "pixel", the network's (VampPrior). Learned numbers start at log s = -2, the spread of pixels of
            natural images. Deviation: in the official code at 0, from where it takes Adamax 1,000 steps to come down.
        tails: True: the outer bins take the tails, P sums to 1, and a network's log s is cut to [-7, 20]. False: as in
            the official codes, for their figures alone. The tails are lost: at log s = -1 P sums to 0.59 with the mean
            in the middle and to 0.44 with it at an end. 1e-7 is added to P, means are cut to the bins' centres, and a
            network's log s to [-4.5, 0] (VampPrior). Deviation: VampPrior first passes means through a sigmoid.
    Raises:
        UserError: the data is not made of images with integer values.
    """

    def __init__(self, shape: Sequence[int], levels: int | None, scale: Scale = "scalar", tails: bool = True) -> None:
        colours = shape[0]
        super().__init__(shape, levels, num_params=2 * colours if scale == "pixel" else colours, num_noises=colours)
        self.scale = scale
        self.tails = tails
        number = {"scalar": 1, "channel": colours, "pixel": 0}[scale]
        self.log_scale = nn.Parameter(torch.full((number, 1, 1), _FIRST_LOG_SCALE)) if number else None

    @property
    def protocol(self) -> Mapping[str, Any]:
        return {} if self.tails else {"likelihood": "without tails, sums to less than 1"}

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        means, log_scales = self._split(params)
        return self._log_mass(x, means, log_scales).sum(dim=1)

    def sample(self, params: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """As of every pixel likelihood; what is drawn beyond the outer bins counts as theirs, with `tails` or not."""
        means, log_scales = self._split(params)
        u = noise.to(means.dtype).clamp(_SMALLEST_NOISE, 1 - _SMALLEST_NOISE)
        drawn = means + temperature * log_scales.exp() * torch.logit(u)
        return ((drawn + 0.5) * self.levels).floor().clamp(0, self.levels - 1).long()

    def pmf(self, params: Tensor, x: Tensor, channel: int) -> Tensor:
        """As of every pixel likelihood; without `tails` it does not sum to 1."""
        means, log_scales = (t[:, channel, None] for t in self._split(params))
        return self._log_mass(self._values(means), means, log_scales).exp()

    def mean(self, params: Tensor) -> Tensor:
        """The mean of what `sample` draws."""
        means, log_scales = (t[:, :, None] for t in self._split(params))
        values = self._values(means)
        return (self._log_mass(values, means, log_scales, tails=True).exp() * values).sum(dim=2)

    def _values(self, like: Tensor) -> Tensor:
        return torch.arange(self.levels, dtype=like.dtype, device=like.device).view(-1, 1, 1)

    def _split(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-scales, [B, C, H, W]."""
        params = full(params)  # in bfloat16 neighbours among 256 values are one
        if self.log_scale is None:
            low, high = (_SMALLEST_LOG_SCALE, _LARGEST_LOG_SCALE) if self.tails else _OFFICIAL_LOG_SCALES
            means, log_scales = params.chunk(2, dim=1)
            log_scales = log_scales.clamp(low, high)
        else:
            means, log_scales = params, self.log_scale.to(params.dtype).expand(params.shape[1:])[None]
        if not self.tails:
            edge = 0.5 - 0.5 / self.levels
            means = means.clamp(-edge, edge)
        return means, log_scales

    def _log_mass(self, x: Tensor, means: Tensor, log_scales: Tensor, tails: bool | None = None) -> Tensor:
        inverse = (-log_scales).exp()
        below = (x.to(means.dtype) / self.levels - 0.5 - means) * inverse
        width = inverse / self.levels
        if not (self.tails if tails is None else tails):
            return torch.log(torch.sigmoid(below + width) - torch.sigmoid(below) + _FLOOR)
        # log(sigma(a) - sigma(b)) = log sigma(a) + log sigma(-b) + log(1 - exp(b - a)): no difference of near numbers.
        not_last, not_first = x < self.levels - 1, x > 0
        left = F.logsigmoid(below + width) * not_last
        right = F.logsigmoid(-below) * not_first
        return left + right + torch.log(-torch.expm1(-width)) * (not_last & not_first)
