"""Flow++'s scalar transform: a mixture-of-logistics CDF, its logit, then scale and shift (Ho et al. 2019)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.bijections.affine import ScaleShift
from genmodels.bijections.elementwise import Elementwise


class MixtureLogistic(Elementwise):
    """z = logit(F(x)) * exp(tanh(a)) + b, F the CDF of a mixture of K logistics.

        F(x) = sum_k pi_k sigmoid((x - mu_k) / s_k)                      (Ho et al. 2019, Equations (14) to (16))
        log dz/dx = log F'(x) - log F(x) - log(1 - F(x)) + tanh(a)

    All in log space: log F and log(1 - F) are two logsumexps over components, so neither underflows where F rounds to
    0 or 1. Log-scales are kept above -7, as in the official code. The inverse has no closed form: bisection, between
    the smallest and the largest of the K components' own solutions, down to the last bit. Deviation: the official code
    bisects F itself, clipped, from much wider bounds, and so cannot invert where F rounds to 1.

    Args:
        num_components: K.
    Shapes: h [B, (2 + 3 K) C, ...], in blocks of C: a, b, K logits of pi, K means, K log-scales.
    """

    MIN_LOG_SCALE = -7.0

    def __init__(self, num_components: int) -> None:
        super().__init__()
        self.num_components = num_components
        self.num_parameters = 2 + 3 * num_components
        self.scale_shift = ScaleShift()

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        affine, mixture = self._split(h, x)
        z, log_derivative = _logit_cdf(x, *mixture)
        z, log_scale = self.scale_shift(z, affine)
        return z, log_derivative + log_scale

    def inverse(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        affine, mixture = self._split(h, z)
        z, log_scale = self.scale_shift.inverse(z, affine)
        with torch.no_grad():
            x = _bisect(z, *mixture)
        if torch.is_grad_enabled():
            x = _with_implicit_gradient(x, z, mixture)
        return x, log_scale - _logit_cdf(x, *mixture)[1]

    def _split(self, h: Tensor, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """[B, 2 C, ...] for the affine part; logits, means and log-scales, [B, K, C, ...] each."""
        h = h.to(x.dtype)
        channels = x.shape[1]
        affine, mixture = h.split((2 * channels, 3 * self.num_components * channels), dim=1)
        blocks = mixture.unflatten(1, (3 * self.num_components, channels))
        logits, means, log_scales = blocks.chunk(3, dim=1)
        return affine, (logits, means, log_scales.clamp(min=self.MIN_LOG_SCALE))


def _logit_cdf(x: Tensor, logits: Tensor, means: Tensor, log_scales: Tensor) -> tuple[Tensor, Tensor]:
    """logit F(x) and its log-derivative. Shapes: x [B, ...]; the others [B, K, ...]."""
    u = (x.unsqueeze(1) - means) * torch.exp(-log_scales)
    log_sigmoid = F.logsigmoid(u)  # log(1 - sigmoid(u)) is log_sigmoid - u
    log_cdf = torch.logsumexp(logits + log_sigmoid, dim=1)
    log_survival = torch.logsumexp(logits + log_sigmoid - u, dim=1)
    log_density = torch.logsumexp(logits + 2.0 * log_sigmoid - u - log_scales, dim=1)
    # All three lack the mixture's normaliser, which drops out of the logit.
    return log_cdf - log_survival, log_density - log_cdf - log_survival + torch.logsumexp(logits, dim=1)


def _bisect(z: Tensor, logits: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
    """x with logit F(x) = z, to the precision of z's type.

    F(x) lies between the smallest and the largest of the components' CDFs, and component k reaches z at
    mu_k + s_k z: x lies between the smallest and the largest of these.
    """
    ends = means + log_scales.exp() * z.unsqueeze(1)
    low, high = ends.amin(dim=1), ends.amax(dim=1)
    scale = torch.exp(-log_scales)
    eps = torch.finfo(z.dtype).eps
    # Each step halves the width; from the widest bracket of float32 to its smallest number are 277.
    for _ in range(300):
        middle = low + 0.5 * (high - low)
        if not (high - low > eps * torch.maximum(low.abs(), high.abs())).any():
            break
        u = (middle.unsqueeze(1) - means) * scale
        log_sigmoid = F.logsigmoid(u)
        value = torch.logsumexp(logits + log_sigmoid, dim=1) - torch.logsumexp(logits + log_sigmoid - u, dim=1)
        too_high = value > z
        low, high = torch.where(too_high, low, middle), torch.where(too_high, middle, high)
    return middle


def _with_implicit_gradient(x: Tensor, z: Tensor, mixture: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """x as it is, with the gradient that the implicit function theorem gives it: that of one Newton step."""
    value, log_derivative = _logit_cdf(x, *mixture)
    # Bisection ends at the edge of a plateau, never on it, so the slope there does not underflow.
    step = (z - value) * torch.exp(-log_derivative.detach())
    return x + (step - step.detach())
