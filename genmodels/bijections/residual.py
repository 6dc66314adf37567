"""The invertible residual block (Behrmann et al., Invertible Residual Networks, ICML 2019, arXiv:1811.00995)."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import Tensor

from genmodels.bijections.base import Bijection
from genmodels.bijections.log_det_estimators import LogDetEstimator
from genmodels.networks.contraction import Contraction


class InvertibleResidual(Bijection):
    """z = x + g(x),  Lip(g) < 1 (Equation 1 and Theorem 1).

    The inverse is the fixed point of x <- z - g(x) (Algorithm 1), iterated until x moves by less than `tolerance`
    relative to 1 + |x|; its gradient is that of the implicit function. Where g is no contraction there may be none, and
    a warning says so. In training every pass in either direction begins with one `iterate` of the network
    and then sees one and the same g.

    Args:
        net: g.
        log_det: how log|det(I + dg/dx)| is found; a copy is the block's own.
        tolerance: of the inverse; None for 8 times the precision of the type.
        max_iterations: of the inverse.

    Attributes:
        gives_log_det: without it log-determinants are nought and cost nothing, see `without_log_det`.

    Shapes: x, z [B, ...] as `net` takes them.
    """

    def __init__(
        self, net: Contraction, log_det: LogDetEstimator, tolerance: float | None = None, max_iterations: int = 1000
    ) -> None:
        super().__init__()
        self.net = net
        self.log_det = deepcopy(log_det)
        self.tolerance = tolerance
        self.max_iterations = max_iterations
        self.gives_log_det = True

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self._iterate()
        return self._forward(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self._iterate()
        with torch.no_grad():
            x = self._fixed_point(z)
        if torch.is_grad_enabled():
            x = self._with_gradient(x, z)
        return x, -self._forward(x)[1] if self.gives_log_det else x.new_zeros(len(x))

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if not self.gives_log_det:
            return x + self.net(x), x.new_zeros(len(x))
        g, log_det = self.log_det(self.net, x)
        return x + g, log_det

    def _iterate(self) -> None:
        if self.training:
            self.net.iterate()

    def _fixed_point(self, z: Tensor) -> Tensor:
        tolerance = self.tolerance or 8 * torch.finfo(z.dtype).eps
        x = z
        for _ in range(self.max_iterations):
            before, x = x, z - self.net(x)
            change = float(((x - before).abs() / (1 + x.abs())).max())
            if not change > tolerance:  # or it is nan
                break
        if not change <= tolerance:
            warnings.warn(
                f"An invertible residual block was not inverted: in {self.max_iterations} iterations its fixed point "
                f"still moved by {change:.1e} where {tolerance:.1e} was asked for. Its Lipschitz constant is too close "
                "to 1 or above it: lower model.lipschitz.",
                stacklevel=2,
            )
        return x

    def _with_gradient(self, fixed: Tensor, z: Tensor) -> Tensor:
        """`fixed` as a function of z and the parameters that can be differentiated once: dx = (I + J)^-1 (dz - dg)."""
        with torch.no_grad():
            _, product = self.net.linearized(fixed)

        @torch.no_grad()
        def solve(gradient: Tensor) -> Tensor:
            """w with w (I + J) = gradient, by the iteration w <- gradient - w J."""
            w = gradient
            for _ in range(self.max_iterations):
                before, w = w, gradient - product(w)
                if not (w - before).abs().max() > 8 * torch.finfo(w.dtype).eps * w.abs().max():
                    break
            return w

        x = z - self.net(fixed)  # its own derivative lacks the (I + J)^-1
        if x.requires_grad:
            x.register_hook(solve)
        return x + (fixed - x).detach()


@contextmanager
def without_log_det(blocks: Iterable[InvertibleResidual]) -> Iterator[None]:
    """Within, the maps of `blocks` come without log-determinants, which cost many times more than they."""
    blocks = list(blocks)
    for block in blocks:
        block.gives_log_det = False
    try:
        yield
    finally:
        for block in blocks:
            block.gives_log_det = True
