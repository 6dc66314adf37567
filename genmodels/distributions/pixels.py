"""Distributions of one pixel given a network's outputs for it: scored, drawn and enumerated by one object."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from genmodels.distributions.likelihood import Likelihood
from genmodels.errors import UserError

COLDEST = 1e-6  # temperature 0 would divide by zero


class PixelLikelihood(Likelihood, ABC):
    """P(all colours of a pixel | params), params from a network that has seen the pixels before it.

    Drawing is a deterministic function of uniform noise, so that different ways to sample one model can be fed the
    same noise and compared.

    A module, for a likelihood may have parameters of its own, such as a scale that does not depend on the network.

    Args:
        shape: (C, H, W) of the images.
        levels: number of pixel values, x in 0 .. levels - 1.
    Attributes:
        num_params: network outputs for a pixel, P below.
        num_noises: uniform numbers that one pixel takes, U below.
        conditions_colours: whether the colours of a pixel depend on one another in here. Where they do not, the network
            has to give a colour its parameters from the colours before it.
    Raises:
        UserError: the data is not made of images with integer values.
    Shapes: params [B, P, H, W] and x [B, C, H, W] of any height and width.
    """

    conditions_colours = False

    def __init__(self, shape: Sequence[int], levels: int | None, num_params: int, num_noises: int) -> None:
        if levels is None or len(shape) != 3:
            raise UserError(
                f"model.likelihood needs images of integers, but data.shape={list(shape)} and data.levels={levels}; "
                "choose a flow, e.g. model=maf, for vectors."
            )
        super().__init__(shape, (num_params, *shape[1:]), (num_noises, *shape[1:]))
        self.channels = shape[0]
        self.levels = levels
        self.num_params = num_params
        self.num_noises = num_noises

    @property
    def separate_colours(self) -> int:
        """How many colours of a pixel a network has to tell apart: 1 where they are joined in here."""
        return 1 if self.conditions_colours else self.channels

    @abstractmethod
    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """log P(x_pixel | params), all colours together: [B, H, W], nats."""

    @abstractmethod
    def sample(self, params: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """The pixels that `noise`, uniform in (0, 1), stands for.

        Args:
            noise: [B, U, H, W].
            temperature: divides logits and multiplies scales; 0 gives the likeliest value or the component's mean.
        Returns: int64 [B, C, H, W].
        """

    @abstractmethod
    def pmf(self, params: Tensor, x: Tensor, channel: int) -> Tensor:
        """P(x_channel = v | params, x_k for k < channel) for every v: [B, levels, H, W]."""

    def mean(self, params: Tensor) -> Tensor:
        """The expected value of each colour: [B, C, H, W] from 0 to levels - 1.

        Where the colours depend on one another, given the earlier ones' rounded means.
        """
        values = torch.arange(self.levels, dtype=params.dtype, device=params.device).view(1, -1, 1, 1)
        means: list[Tensor] = []
        x = params.new_zeros(len(params), self.channels, *params.shape[2:], dtype=torch.long)
        for channel in range(self.channels):
            means.append((self.pmf(params, x, channel) * values).sum(dim=1))
            x[:, channel] = means[-1].round().long()
        return torch.stack(means, dim=1)


class Bernoulli(PixelLikelihood):
    """Two-valued pixels, P(x = 1) = sigmoid(params).

    Raises:
        UserError: the data has more than two values.
    """

    def __init__(self, shape: Sequence[int], levels: int | None) -> None:
        super().__init__(shape, levels, num_params=shape[0], num_noises=shape[0])
        if levels != 2:
            raise UserError(
                f"model/likelihood=bernoulli needs data of two values, but data.levels={levels}; "
                "choose model/likelihood=categorical."
            )

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        return -F.binary_cross_entropy_with_logits(params, x.to(params.dtype), reduction="none").sum(dim=1)

    def of_draws(self, params: Tensor, x: Tensor) -> Tensor:
        # Copies of x as large as the params, and sums over a single colour, would cost more than the logarithms.
        logits = params.unflatten(0, (-1, len(x)))
        target = x.to(logits.dtype).expand_as(logits)
        return -F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(2).sum(dim=2)

    def sample(self, params: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        return (noise < torch.sigmoid(params / max(temperature, COLDEST))).long()

    def pmf(self, params: Tensor, x: Tensor, channel: int) -> Tensor:
        one = torch.sigmoid(params[:, channel])
        return torch.stack((1 - one, one), dim=1)


class Categorical(PixelLikelihood):
    """A free probability for every value of every colour, a softmax over `levels` logits.

    Van den Oord et al. 2016 (PixelRNN), Section 3.1. In params the colour varies fastest: the logit of value v of
    colour c is number v * C + c.
    """

    def __init__(self, shape: Sequence[int], levels: int | None) -> None:
        super().__init__(shape, levels, num_params=shape[0] * (levels or 1), num_noises=shape[0])

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        return -F.cross_entropy(self._logits(params), x.long(), reduction="none").sum(dim=1)

    def sample(self, params: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        probabilities = (self._logits(params) / max(temperature, COLDEST)).softmax(dim=1)
        return value_of(noise[:, None], probabilities).squeeze(1)

    def pmf(self, params: Tensor, x: Tensor, channel: int) -> Tensor:
        return self._logits(params)[:, :, channel].softmax(dim=1)

    def _logits(self, params: Tensor) -> Tensor:
        return params.unflatten(1, (self.levels, self.channels))


def value_of(noise: Tensor, probabilities: Tensor) -> Tensor:
    """The inverse of a discrete distribution function: the first value whose cumulative probability exceeds `noise`.

    Shapes: noise [B, 1, ...] uniform in [0, 1), probabilities [B, V, ...] -> int64 [B, 1, ...].
    """
    cumulative = probabilities.cumsum(dim=1)
    # The last sum may be a rounding error below one.
    return (cumulative <= noise).sum(dim=1, keepdim=True).clamp(max=probabilities.shape[1] - 1)


def scaled(x: Tensor, levels: int, dtype: torch.dtype) -> Tensor:
    """Pixel values 0 .. levels - 1 as numbers from -1 to 1."""
    return x.to(dtype) * (2.0 / (levels - 1)) - 1.0
