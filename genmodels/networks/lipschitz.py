"""Layers whose Lipschitz constant is bounded, by soft spectral normalisation of the operator that they are.

    W <- W / max(1, sigma / c),   sigma the largest singular value (Behrmann et al. 2019, Section 2.1; Gouk et al. 2018)

A convolution is a linear map of whole images. Its norm depends on their height and width and is not that of its kernel
as a matrix, which can be too small by a factor of the kernel's side: power iteration runs on the map itself.
"""

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.linalg import vector_norm

from genmodels.networks.eval_cache import CachesInEval
from genmodels.networks.full_precision import no_autocast

_TOLERANCE, _LIMIT = 1e-3, 1000  # relative growth of sigma at which an iteration to tolerance ends; its longest
_TOLERANCE_IN_EVAL, _LIMIT_IN_EVAL = 1e-6, 2000


class Lipschitz(CachesInEval, ABC):
    """A linear map plus a bias whose Lipschitz constant is at most `bound`, as far as power iteration has come.

    `direction`, the singular vector on the narrower side of the map, is a buffer: it is saved, and goes on from where
    it was. In training it moves only by `iterate`, so that the weight is one and the same in all passes between two
    calls. In evaluation it is followed from there to convergence for the weight that is in place, be it loaded or
    averaged, once for each such weight, and the buffer stays as it is. The gradient flows through sigma, not through
    the direction (Miyato et al. 2018).

    Args:
        bound: c.
        iterations: power iterations in one `iterate`; None for as many as it takes until sigma grows by less than a
            thousandth.
    """

    weight: nn.Parameter
    bias: nn.Parameter
    direction: Tensor

    def __init__(self, bound: float, iterations: int | None) -> None:
        super().__init__()
        self.bound = bound
        self.iterations = iterations

    @torch.no_grad()
    def iterate(self) -> None:
        """Let the direction follow the weight."""
        tolerance = _TOLERANCE if self.iterations is None else None
        with no_autocast(self.direction):
            self.direction.copy_(self._followed(self.iterations or _LIMIT, tolerance))

    def normalized(self) -> Tensor:
        """The weight in use, of the shape of `weight`."""
        with no_autocast(self.weight):
            return self.weight / (self._sigma() / self.bound).clamp(min=1.0)

    def _sigma(self) -> Tensor:
        if self.training:
            # Not the buffer itself, which moves before a second backward pass may need it.
            return vector_norm(self._there(self.direction.clone()))
        with torch.no_grad():
            direction = self.cached(self._converged, self.weight)
        return vector_norm(self._there(direction))

    def _converged(self) -> Tensor:
        return self._followed(_LIMIT_IN_EVAL, _TOLERANCE_IN_EVAL)

    def _followed(self, limit: int, tolerance: float | None) -> Tensor:
        """Power iteration: `limit` times, or fewer if sigma grows by less than `tolerance` in one."""
        image = self._there(self.direction)
        sigma = vector_norm(image)
        for _ in range(limit):
            direction = self._back(image)
            direction = direction / vector_norm(direction).clamp(min=torch.finfo(direction.dtype).tiny)
            image = self._there(direction)
            before, sigma = sigma, vector_norm(image)
            if tolerance is not None and bool(sigma <= (1 + tolerance) * before):
                break
        return direction

    def _there(self, direction: Tensor) -> Tensor:
        return self.mapped(direction, self.weight) if self.starts_at_input else self.transposed(direction, self.weight)

    def _back(self, image: Tensor) -> Tensor:
        return self.transposed(image, self.weight) if self.starts_at_input else self.mapped(image, self.weight)

    def _start(self, weight: tuple[int, ...], size: tuple[int, ...]) -> None:
        """torch's initial values, and a random direction of one input, or output, of that size."""
        outputs, inputs = weight[:2]
        fan_in = math.prod(weight[1:])
        self.weight = nn.Parameter(torch.empty(weight))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-(fan_in**-0.5), fan_in**-0.5))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        self.starts_at_input = inputs <= outputs
        direction = torch.randn(1, min(inputs, outputs), *size)
        self.register_buffer("direction", direction / vector_norm(direction))

    def forward(self, x: Tensor) -> Tensor:
        return self.mapped(x, self.normalized(), self.bias)

    @abstractmethod
    def mapped(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """The layer with that weight and bias."""

    @abstractmethod
    def transposed(self, v: Tensor, weight: Tensor) -> Tensor:
        """v' times the matrix of the layer with that weight. Shapes: as of the output -> as of the input."""


class LipschitzLinear(Lipschitz):
    """A fully connected layer. Shapes: [B, in_features] -> [B, out_features]."""

    def __init__(self, in_features: int, out_features: int, bound: float, iterations: int | None = None) -> None:
        super().__init__(bound, iterations)
        self._start((out_features, in_features), ())

    def mapped(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.linear(x, weight, bias)

    def transposed(self, v: Tensor, weight: Tensor) -> Tensor:
        return v @ weight


class LipschitzConv2d(Lipschitz):
    """A 'same' convolution of images of one size.

    Args:
        kernel_size: odd.
        size: height and width of the images.
    Shapes: [B, in_channels, *size] -> [B, out_channels, *size].
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        size: tuple[int, int],
        bound: float,
        iterations: int | None = None,
    ) -> None:
        super().__init__(bound, iterations)
        self.padding = kernel_size // 2
        # A 1x1 convolution is the same matrix at every pixel, and has the norm of one.
        self._start((out_channels, in_channels, kernel_size, kernel_size), (1, 1) if kernel_size == 1 else size)

    def mapped(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv2d(x, weight, bias, padding=self.padding)

    def transposed(self, v: Tensor, weight: Tensor) -> Tensor:
        return F.conv_transpose2d(v, weight, padding=self.padding)
