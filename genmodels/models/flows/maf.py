"""MAF: Masked Autoregressive Flow for Density Estimation (Papamakarios et al., NIPS 2017, arXiv:1705.07057)."""

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor

from genmodels.bijections import Autoregressive, Bijection, Flattened, GaussianConditional, WholeSetBatchNorm
from genmodels.bijections.whole_set_norm import set_statistics
from genmodels.distributions import Base, Dequantization
from genmodels.errors import UserError
from genmodels.models.flows.autoregressive_stack import alternating_order, from_data
from genmodels.models.flows.flow import Flow, conditional_classes
from genmodels.networks.made_net import MADENet


class MAF(Flow):
    """A stack of MADEs, each modelling the noise of the one before.

        u_i = (x_i - m_i) exp(-v_i / 2),   (m_i, v_i) = MADE(x_1 .. x_{i-1})     (Equations 2 to 4)

    Section 3 and, for the sizes, Section 4 and official code: 5 or 10 MADEs of one or two hidden layers (the better on
    validation) of 100 to 1024 units, the order of the dimensions reversed from one to the next, batch norm after each
    with the statistics of the whole training set at test time. Density in one pass, samples in D steps that cost
    about one pass together, see `Autoregressive`.

    Deviation: pixels get fresh dequantisation noise in every step; the official image data hold a single draw of it.

    Args:
        shape: (D,), or (C, H, W): images are read row by row behind a logit.
        levels: number of pixel values, None for continuous data.
        num_layers: MADEs.
        num_hidden: hidden layers of each.
        width: units of each hidden layer.
        activation: of the hidden units; tanh in the paper for GAS.
        degrees: of the hidden units; random in the paper for CIFAR-10, where D exceeds the width.
        batch_norm: after every MADE.
        alpha: of the logit for images: 1e-6 for MNIST, 0.05 for CIFAR-10.
        conditional: on the class, which every MADE sees (the paper's "Conditional MAF").
        num_classes: of the data.
        dequantization: of pixels; uniform unless given.
        base: density of the last MADE's noise, standard normal unless given.
    Raises:
        UserError: a number that must be at least 1 is not, or there are no classes to condition on.
    """

    def __init__(
        self,
        shape: Sequence[int],
        levels: int | None,
        num_layers: int = 5,
        num_hidden: int = 2,
        width: int = 512,
        activation: Literal["relu", "tanh"] = "relu",
        degrees: Literal["sequential", "random"] = "sequential",
        batch_norm: bool = True,
        alpha: float = 1e-6,
        conditional: bool = False,
        num_classes: int | None = None,
        dequantization: Dequantization | None = None,
        base: Base | None = None,
    ) -> None:
        if min(num_layers, num_hidden, width) < 1:
            raise UserError("model.num_layers, model.num_hidden and model.width must be at least 1.")
        classes = conditional_classes(conditional, num_classes)
        features = math.prod(shape)
        steps: list[Bijection] = []
        for layer in range(num_layers):
            order = alternating_order(features, layer)
            net = MADENet(features, 2, [width] * num_hidden, order, degrees, activation, classes)
            steps.append(Autoregressive(net, GaussianConditional()))
            if batch_norm:
                steps.append(WholeSetBatchNorm(features))
        super().__init__(from_data(steps, shape, alpha), shape, levels, classes, base, dequantization)
        self.needs_statistics = batch_norm

    @torch.no_grad()
    def set_statistics(self, batches: Iterable[tuple[Tensor, Tensor | None]]) -> None:
        """Let the batch norms take the statistics of `batches` of (x, y), the training set in the data's own type.

        Dequantisation noise is drawn from torch's generator. Holds the set as floats, twice. Under several ranks each
        brings its share, and all get the statistics of the whole.
        """
        was_training = self.training
        self.eval()
        inner = self.bijection.inner if isinstance(self.bijection, Flattened) else self.bijection
        values = [(self._values(x), self._context(y)) for x, y in batches]
        set_statistics(list(inner.bijections), values)  # type: ignore[arg-type]
        self.train(was_training)

    def _values(self, x: Tensor) -> Tensor:
        v = x.to(self._dtype) if self.dequantization is None else self.dequantization(x, self._dtype)[0]
        return v.flatten(1)
