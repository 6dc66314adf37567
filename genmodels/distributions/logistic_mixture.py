"""The discretised mixture of logistics of PixelCNN++ (Salimans, Karpathy, Chen & Kingma 2017)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.distributions.pixels import COLDEST, PixelLikelihood, scaled, value_of
from genmodels.errors import UserError
from genmodels.networks.full_precision import full
from genmodels.ranges import at_least

_SMALLEST_LOG_SCALE = -7.0
_LARGEST_LOG_SCALE = 20.0  # wider ones would leave a bin no mass in float32
_SMALLEST_NOISE = 1e-7  # the logistic of 0 would be infinite


class LogisticMixture(PixelLikelihood):
    """A mixture of logistics for the colours together, cut into `levels` bins; the outer bins take the tails.

        P(x) = sum_m pi_m prod_c [sigma((x_c + h - mu_mc) / s_mc) - sigma((x_c - h - mu_mc) / s_mc)]

    for x scaled to [-1, 1], h = 1 / (levels - 1), and the means of later colours linear in the true values of earlier
    ones (Salimans et al. 2017, Equations 1 to 3): mu_G + a x_R, mu_B + b x_R + c x_G, with a, b, c passed through tanh
    and log s at least -7 as in the official code. Params are laid out as there: M logits, then for each colour its M
    means, M log-scales and, where there are three colours, M coefficients (a, b, c in this order).

    Deviations from the official code: the logarithm of the difference is the exact identity
    log sigma(p) + log sigma(-q) + log(1 - exp(q - p)), p > q, in place of three branches; a sample is rounded to its
    bin, so that it can be scored; and log s is at most 20, which keeps scores finite.

    Args:
        num_components: M; 10 for CIFAR-10.
    Raises:
        UserError: neither 1 nor 3 colours, or no component.
    """

    conditions_colours = True

    def __init__(self, shape: Sequence[int], levels: int | None, num_components: int = 10) -> None:
        at_least(1, under="model.likelihood.", num_components=num_components)
        params = num_components * (10 if shape[0] == 3 else 3)
        super().__init__(shape, levels, num_params=params, num_noises=shape[0] + 1)
        if self.channels not in (1, 3):
            raise UserError(
                f"model/likelihood=logistic_mixture needs 1 or 3 colours, but the data has {self.channels}."
            )
        self.num_components = num_components

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        logits, means, log_scales, coefficients = self._split(params)
        v = scaled(x, self.levels, means.dtype)[:, :, None]
        means = self._conditioned(means, coefficients, v)
        log_bins = self._log_bin(x[:, :, None], v, means, log_scales)
        return (logits.log_softmax(dim=1) + log_bins.sum(dim=1)).logsumexp(dim=1)

    def sample(self, params: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        logits, means, log_scales, coefficients = self._split(params)
        component = value_of(noise[:, :1], (logits / max(temperature, COLDEST)).softmax(dim=1))
        chosen = F.one_hot(component.squeeze(1), self.num_components).movedim(-1, 1)[:, None]
        means, log_scales = ((t * chosen).sum(dim=2) for t in (means, log_scales))
        if self.channels > 1:
            coefficients = (coefficients * chosen).sum(dim=2)
        u = noise[:, 1:].to(means.dtype).clamp(_SMALLEST_NOISE, 1 - _SMALLEST_NOISE)
        offsets = temperature * log_scales.exp() * torch.logit(u)
        x: list[Tensor] = []
        for c in range(self.channels):
            mean = means[:, c]
            for earlier, value in enumerate(x):
                mean = mean + coefficients[:, c + earlier - 1] * scaled(value, self.levels, mean.dtype)
            x.append(((mean + offsets[:, c] + 1) * ((self.levels - 1) / 2)).round().clamp(0, self.levels - 1).long())
        return torch.stack(x, dim=1)

    def pmf(self, params: Tensor, x: Tensor, channel: int) -> Tensor:
        logits, means, log_scales, coefficients = self._split(params)
        v = scaled(x, self.levels, means.dtype)[:, :, None]
        means = self._conditioned(means, coefficients, v)
        seen = self._log_bin(x[:, :, None], v, means, log_scales)[:, :channel].sum(dim=1)
        weights = (logits + seen).log_softmax(dim=1)[:, None]
        values = torch.arange(self.levels, device=x.device).view(1, -1, 1, 1, 1)
        every = scaled(values, self.levels, means.dtype)
        log_bins = self._log_bin(values, every, means[:, channel, None], log_scales[:, channel, None])
        return (weights + log_bins).logsumexp(dim=2).exp()

    def _split(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits [B, M, H, W]; means, log-scales and, of three colours, coefficients [B, C, M, H, W]."""
        m = self.num_components
        params = full(params)  # in bfloat16 neighbours among 256 values are one
        logits, rest = params[:, :m], params[:, m:].unflatten(1, (self.channels, -1))
        log_scales = rest[:, :, m : 2 * m].clamp(_SMALLEST_LOG_SCALE, _LARGEST_LOG_SCALE)
        return logits, rest[:, :, :m], log_scales, rest[:, :, 2 * m :].tanh()

    def _conditioned(self, means: Tensor, coefficients: Tensor, v: Tensor) -> Tensor:
        if self.channels == 1:
            return means
        (red, green, blue), (a, b, c) = means.unbind(1), coefficients.unbind(1)
        v_red, v_green = v[:, 0], v[:, 1]
        return torch.stack((red, green + a * v_red, blue + b * v_red + c * v_green), dim=1)

    def _log_bin(self, x: Tensor, v: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
        """log of the logistic's mass in the bin of x, whose scaled value is v."""
        inverse = (-log_scales).exp()
        centred, half = v - means, 1.0 / (self.levels - 1)
        above, below = inverse * (centred + half), inverse * (centred - half)
        inside = torch.log(-torch.expm1(-2 * half * inverse))
        left = F.logsigmoid(above) * (x < self.levels - 1)
        right = F.logsigmoid(-below) * (x > 0)
        return left + right + inside * ((x > 0) & (x < self.levels - 1))
