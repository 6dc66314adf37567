"""NICE: Non-linear Independent Components Estimation (Dinh, Krueger & Bengio, ICLR 2015 workshop, arXiv:1410.8516)."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from genmodels.bijections import Additive, Bijection, Compose, Coupling, Flattened, Permutation, Scale
from genmodels.distributions import Dequantization, StandardLogistic, StandardNormal
from genmodels.errors import UserError
from genmodels.models.flows.flow import Flow
from genmodels.networks.mlp import MLP
from genmodels.ranges import at_least


class NICE(Flow):
    """Additive couplings between the odd and the even dimensions, then one learned scale per dimension.

        h1 = x_even,  h2 = x_odd;   four times in turn:  h2 <- h2 + m(h1)  or  h1 <- h1 + m(h2);   z = exp(s) h

    Section 3 and, for the sizes, Section 5.1: 4 couplings, each an MLP of 5 hidden layers of 1000 rectified linear
    units, logistic prior (MNIST). 19,158,352 parameters on 28x28 images.

    Deviations: pixels are dequantised in [0, 1] for every data set (the paper whitens CIFAR-10 by ZCA and reports
    densities of the whitened data, which are no bits/dim of pixels), and one MLP depth for all couplings (its
    CIFAR-10 model varies it), and the scales start from the first batch, see `Scale`.

    Args:
        shape: (C, H, W) or (D,); images are read row by row.
        levels: number of pixel values, None for continuous data.
        num_couplings: 4 in the paper for MNIST; with one, half of the dimensions would never change.
        num_hidden: hidden layers of each MLP.
        width: units of each hidden layer.
        prior: "logistic" or "normal" density of the latents. Only "normal" makes `encode` standard normal.
        dequantization: of the pixels; uniform unless given.
        reversible: recompute activations in the backward pass instead of keeping them, see `Flow`.
    Raises:
        UserError: a number is out of its range, or there are fewer than two dimensions.
    """

    def __init__(
        self,
        shape: Sequence[int],
        levels: int | None,
        num_couplings: int = 4,
        num_hidden: int = 5,
        width: int = 1000,
        prior: Literal["logistic", "normal"] = "logistic",
        dequantization: Dequantization | None = None,
        reversible: bool = False,
    ) -> None:
        at_least(1, num_hidden=num_hidden, width=width)
        features = math.prod(shape)
        if features < 2:
            raise UserError("model=nice couples two halves of the dimensions and the data has only one.")
        if num_couplings < 2:
            raise UserError(
                f"model.num_couplings={num_couplings} leaves half of the dimensions unchanged; use 2 or more."
            )
        couplings = [_coupling(features, num_hidden, width, swap=bool(index % 2)) for index in range(num_couplings)]
        vectors = Compose([_evens_first(features), *couplings, Scale(features)])
        bijection: Bijection = vectors if len(shape) == 1 else Flattened(vectors, shape)
        base = StandardLogistic(shape) if prior == "logistic" else StandardNormal(shape)
        super().__init__(bijection, shape, levels, 0, base, dequantization, reversible)


def _evens_first(features: int) -> Permutation:
    order = torch.arange(features)
    return Permutation(torch.cat((order[::2], order[1::2])))


def _coupling(features: int, num_hidden: int, width: int, swap: bool) -> Coupling:
    first, second = (features + 1) // 2, features // 2
    given, changed = (second, first) if swap else (first, second)
    net = MLP(given, changed, width, num_hidden)
    for parameter in net.parameters():
        nn.init.uniform_(parameter, -0.01, 0.01) if parameter.dim() > 1 else nn.init.zeros_(parameter)
    return Coupling(net, Additive(), swap=swap)
