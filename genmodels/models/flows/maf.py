"""MAF: Masked Autoregressive Flow for Density Estimation (Papamakarios et al., NIPS 2017, arXiv:1705.07057)."""

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor

from genmodels.bijections import Bijection, Flattened, WholeSetBatchNorm
from genmodels.bijections.whole_set_norm import set_statistics
from genmodels.distributions import Base, Dequantization, MixtureMADE
from genmodels.models.data_checks import conditional_classes
from genmodels.models.flows.flow import Flow
from genmodels.models.flows.made_stack import alternating_order, from_data, gaussian_layers
from genmodels.networks.made_net import MADENet
from genmodels.ranges import at_least, between


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
        UserError: a number is out of its range, or there are no classes to condition on.
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
        at_least(1, num_layers=num_layers, num_hidden=num_hidden, width=width)
        between(0.0, 0.5, alpha=alpha)
        classes = conditional_classes(conditional, num_classes)
        features = math.prod(shape)
        steps: list[Bijection] = []
        for layer in gaussian_layers(features, num_layers, [width] * num_hidden, activation, classes, degrees):
            steps += [layer, WholeSetBatchNorm(features)] if batch_norm else [layer]
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
        values = [(self._values(x), self._one_hot(y)) for x, y in batches]
        set_statistics(list(inner.bijections), values)  # type: ignore[arg-type]
        self.train(was_training)

    def _values(self, x: Tensor) -> Tensor:
        v = x.to(self._dtype) if self.dequantization is None else self.dequantization(x, self._dtype)[0]
        return v.flatten(1)


class MAFMoG(MAF):
    """MAF whose last noise is not standard normal but modelled by a MADE with mixtures as conditionals, "MAF MoG".

    Section 4 and official code: 5 MADEs and one MADE MoG of 10 components, all of the same hidden layers, the order of
    the dimensions reversed once more in front of the last. So latents are not standard normal: `encode` and
    temperature speak of the noise that the mixture describes.

    Args: as of `MAF` less the classes, which the mixture could not see, and
        num_components: of the mixtures.
    """

    def __init__(
        self,
        shape: Sequence[int],
        levels: int | None,
        num_layers: int = 5,
        num_components: int = 10,
        num_hidden: int = 2,
        width: int = 512,
        activation: Literal["relu", "tanh"] = "relu",
        degrees: Literal["sequential", "random"] = "sequential",
        batch_norm: bool = True,
        alpha: float = 1e-6,
        dequantization: Dequantization | None = None,
    ) -> None:
        at_least(1, num_layers=num_layers, num_components=num_components, num_hidden=num_hidden, width=width)
        features = math.prod(shape)
        order = alternating_order(features, num_layers)
        net = MADENet(features, 3 * num_components, [width] * num_hidden, order, degrees, activation)
        sizes = (num_layers, num_hidden, width)
        base = MixtureMADE(shape, net, num_components)
        super().__init__(
            shape, levels, *sizes, activation, degrees, batch_norm, alpha, dequantization=dequantization, base=base
        )
