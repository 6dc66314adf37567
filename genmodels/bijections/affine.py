"""Elementwise affine maps, in each parametrisation that the papers use."""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.bijections.elementwise import Elementwise

_CLOSED = -20.0  # the logit of a gate
_FARTHEST = 1e6  # what is inverted through one


class Affine(Elementwise):
    """z = (x - mean) * exp(log_scale); a subclass gives mean and log-scale from the two halves of h."""

    num_parameters = 2

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_scale = self._parameters_from(h, x)
        return (x - mean) * log_scale.exp(), log_scale

    def inverse(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_scale = self._parameters_from(h, z)
        return z * torch.exp(-log_scale) + mean, -log_scale

    @abstractmethod
    def mean_and_log_scale(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Both of the shape of x, as the halves of h are."""

    def _parameters_from(self, h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        # A network under autocast hands over bfloat16; densities are computed in the data's precision.
        return self.mean_and_log_scale(*h.to(x.dtype).chunk(2, dim=1))


class SigmoidAffine(Affine):
    """z = (x + t) * sigmoid(s + 2) with h = (t, s): Glow's coupling.

    Kingma & Dhariwal 2018, Table 1, with the official code's bounded scale in place of the paper's exp: a deep stack
    cannot overflow, and actnorm takes up the contraction at the start (sigmoid(2) = 0.88). Deviation from the
    official code: t and s are the two halves of the parameters, not every second channel (the same set of functions).
    """

    def mean_and_log_scale(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        return -first, F.logsigmoid(second + 2.0)


class TanhAffine(Affine):
    """z = (x + t) * exp(a * tanh(s)) with h = (t, s) and one learned scalar a: RealNVP's coupling.

    Dinh et al. 2017, Section 3.2 and 4.1; shift before scale as in the official code (the paper scales first).

    Args:
        scale: initial a; the official code starts checkerboard couplings at 0 and channel couplings at 1.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def mean_and_log_scale(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        return -first, self.scale * torch.tanh(second)


class GaussianConditional(Affine):
    """z = (x - m) * exp(-v / 2) with h = (m, v), unbounded: MAF's parametrisation.

    Papamakarios et al. 2017, Equations 2 to 4 and official code: v is the log-variance of a Gaussian with mean m, and
    z its standard normal noise.
    """

    def mean_and_log_scale(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        return first, -0.5 * second

    def inverse(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        # Called once for every dimension in turn, where each operation counts.
        mean, log_variance = h.to(z.dtype).chunk(2, dim=1)
        log_derivative = 0.5 * log_variance
        return torch.addcmul(mean, z, log_derivative.exp()), log_derivative


class Standardize(Affine):
    """z = (x - mu) / sigma with h = (mu, log sigma): a learned Gaussian prior as a map.

        log N(x; mu, sigma) = log N((x - mu) / sigma; 0, 1) - log sigma

    so a prior N(mu(h), sigma(h)) is this map in front of a standard normal base. Written so, the latent of every flow
    is one standard-normal tensor, and temperature, interpolation and round trips need no knowledge of where a prior was
    learned.
    """

    def mean_and_log_scale(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        return first, -second


class ScaleShift(Affine):
    """z = x * exp(tanh(a)) + b with h = (a, b): what Flow++'s ablation puts in place of the mixture.

    Ho et al. 2019, Section 4.2 ("affine coupling"); the tanh is the official code's. Scaled first, so it is its inverse
    that subtracts a mean and scales.
    """

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return super().inverse(x, h)

    def inverse(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(z, h)

    def mean_and_log_scale(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        return second, -torch.tanh(first)


class Gated(Elementwise):
    """z = sigma x + (1 - sigma) m with h = (m, s) and sigma = sigmoid(s + 1): a step of inverse autoregressive flow.

    Kingma et al. 2016, Equations 12 to 14: x is kept or overwritten, as in an LSTM, and for the most part kept at the
    start. The paper's s starts "close to +1 or +2"; the 1 that is added here is that of the official code of Sylvester
    flows (van den Berg et al. 2018).

    `inverse` stays finite for any z, since it is asked for the density of points far from where x would ever lead: a
    gate is 2e-9 at least, and x is cut off at 1e6, where its density is nought and what its successors make of it would
    overflow.
    """

    num_parameters = 2

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        mean, logit = self._parameters_from(h, x)
        return torch.lerp(mean, x, torch.sigmoid(logit)), F.logsigmoid(logit)

    def inverse(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        mean, logit = self._parameters_from(h, z)
        # 1 / sigma = 1 + exp(-logit): no quotient of numbers near nought.
        x = z + (z - mean) * torch.exp(-logit)
        return x.clamp(-_FARTHEST, _FARTHEST), -F.logsigmoid(logit)

    def _parameters_from(self, h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, logit = h.to(x.dtype).chunk(2, dim=1)
        return mean, (logit + 1.0).clamp(min=_CLOSED)
