"""A normalizing flow: dequantisation -> bijection -> base, and nothing more."""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from genmodels.bijections.base import Bijection
from genmodels.bijections.reversible import check_reversible, reversibly
from genmodels.distributions import Base, Dequantization, StandardNormal, UniformDequantization
from genmodels.models.model import Model


class Flow(Model):
    """p(x) by change of variables, log p(x) = log p_base(f(x)) + log|det df/dx|.

    On integer images `log_prob` is one log importance weight for a fresh dequantisation noise: its expectation is
    the usual lower bound, and the log-mean-exp of K calls a tighter one. On vectors it is exact.

    Args:
        bijection: f, from data (pixels scaled to [0, 1], or vectors) to latents of the same shape.
        shape: of one x: (C, H, W) for images, (D,) for vectors.
        levels: number of pixel values, x in 0 .. levels - 1; None for continuous data.
        num_classes: the labels y in 0 .. num_classes - 1 enter the bijection as one-hot context; 0 for none.
        base: density of the latents, standard normal unless given.
        dequantization: of integer data, uniform unless given.
        reversible: recompute the bijection's activations in the backward pass instead of keeping them, see
            `genmodels.bijections.reversibly`. The same function with the same parameters. Variational dequantisation
            has an option of its own; training through the inverse (`sample_with_log_prob`) keeps what it always kept.
    Raises:
        UserError: a reversible flow of bijections without exact inverses.
    """

    def __init__(
        self,
        bijection: Bijection,
        shape: Sequence[int],
        levels: int | None,
        num_classes: int = 0,
        base: Base | None = None,
        dequantization: Dequantization | None = None,
        reversible: bool = False,
    ) -> None:
        super().__init__()
        if reversible:
            check_reversible(bijection)
        self.reversible = reversible
        self.shape = self.latent_shape = tuple(shape)
        self.levels = levels
        self.num_classes = num_classes
        self.dequantization = None if levels is None else dequantization or UniformDequantization(levels)
        self.bijection = bijection
        self.base = base or StandardNormal(self.shape)

    @property
    def exact(self) -> bool:
        """Whether `log_prob` is the log-likelihood itself rather than a log-weight."""
        return self.dequantization is None

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(x | y) or, for images, one unbiased log-weight of it. Shapes: x [B, *shape] -> [B], nats."""
        if self.dequantization is None:
            v, log_weight = x.to(self._dtype), 0.0
        else:
            v, log_weight = self.dequantization(x, self._dtype)
        run = reversibly if self.reversible else Bijection.__call__
        z, log_det = run(self.bijection, v, self._context(y))
        return log_weight + log_det + self.base.log_prob(z)

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """`n` draws; the latents' deviation is multiplied by `temperature` (Kingma & Dhariwal 2018, Section 6).

        Args:
            y: [n] labels; for a class-conditional model without them, drawn uniformly.
        Returns: uint8 [n, C, H, W], or float vectors [n, D].
        """
        z = self.base.sample(n, temperature)
        if self.num_classes and y is None:
            y = torch.randint(self.num_classes, (n,), device=z.device)
        return self.decode(z, y)

    def sample_with_log_prob(self, n: int) -> tuple[Tensor, Tensor]:
        """`n` draws of a flow on vectors, [n, D], with log p of each, [n] nats; gradients flow through both."""
        z = self.base.sample(n)
        x, log_det = self.bijection.inverse(z)
        return x, self.base.log_prob(z) - log_det

    @torch.no_grad()
    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The latent of x (of the centre of its cell, for images), [B, *shape]; no randomness."""
        z, _ = self.bijection(self._continuous(x), self._one_hot(y))
        return z

    @torch.no_grad()
    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The data at latent z, in the data's own type; the inverse of `encode`."""
        v, _ = self.bijection.inverse(z, self._one_hot(y))
        return self._as_data(v)

    @torch.no_grad()
    def inverse_error(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """max |f^-1(f(v)) - v| over a batch, v the data in the unit in which the flow sees it (pixels: [0, 1])."""
        v = self._continuous(x)
        context = self._one_hot(y)
        back, _ = self.bijection.inverse(self.bijection(v, context)[0], context)
        return (back - v).abs().max()

    def _context(self, y: Tensor | None) -> Tensor | None:
        """What the density is told of the labels: [B, num_classes], None for a model without classes."""
        return self._one_hot(y)

    def _as_data(self, v: Tensor) -> Tensor:
        _warn_of_overflow(v)
        return v if self.dequantization is None else self.dequantization.quantize(v)

    def _continuous(self, x: Tensor) -> Tensor:
        return x.to(self._dtype) if self.dequantization is None else self.dequantization.centre(x, self._dtype)


def _warn_of_overflow(v: Tensor) -> None:
    # Cast to pixels, such images would be black without a word.
    bad = int((~v.isfinite()).flatten(1).any(dim=1).sum())
    if bad:
        warnings.warn(
            f"{bad} of {len(v)} samples are not finite: the inverse of the flow overflowed. It needs more training, "
            "or a lower temperature.",
            stacklevel=4,
        )
