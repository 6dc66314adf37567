"""MADE on images: Masked Autoencoder for Distribution Estimation (Germain et al., ICML 2015, arXiv:1502.03509)."""

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from genmodels.distributions import PixelLikelihood
from genmodels.errors import UserError
from genmodels.models.autoregressive.autoregressive_model import AutoregressiveModel, Decoder, Drawing
from genmodels.models.autoregressive.made_image_net import ManyOrdersMADE
from genmodels.ranges import at_least

_MOST_WEIGHTS = 10**9


class ImageMADE(AutoregressiveModel):
    """An autoregressive MLP over the sub-pixels in one random order, or a mixture over K of them.

        p(x) = 1/K sum_k p_k(x),   p_k(x) = prod_t p(x_i | the sub-pixels before i in order k),   i = order_k[t]

    All p_k share the weights; masks (order and connectivity) differ. In training `log_prob` is that of one k drawn for
    the batch, whose mean over k is a lower bound on the mixture's; in `eval()` it is the mixture's, exact. The mean of
    the logits over k would be the likelihood of no distribution: every pixel would be predicted from all others.

    A sample is drawn from one k, an image's own: the leading part of its first noise number chooses it, the remainder,
    uniform again, serves the first pixel. `order`, `conditionals` and `decoder` are those of k = 0; `member(k)` has
    those of the others.

    Inputs are scaled to [0, 1], as in the paper. The number of weights grows with levels * C * H * W: the model is
    made for two values, and digits.
    Deviations: k is random instead of cycling (the official code cycles through 33 masks where 32 are asked for), and
    initial weights are normal instead of parts of orthogonal matrices.

    Args:
        shape: (C, H, W).
        likelihood: `Bernoulli` or `Categorical`.
        hidden: widths of the hidden layers; the paper's best on MNIST: 8000 and 8000.
        num_orders: K, 1 or 32 in the paper.
        direct: masked connections from inputs to outputs, as in the paper's recipes.
        activation: of the hidden units.
    Raises:
        UserError: no hidden layer, a number out of its range, a likelihood that joins the colours, or
            more than 10^9 weights, of which training with Adam holds four numbers each.
    """

    def __init__(
        self,
        shape: Sequence[int],
        likelihood: PixelLikelihood,
        hidden: Sequence[int] = (8000, 8000),
        num_orders: int = 32,
        direct: bool = True,
        activation: Literal["relu", "tanh"] = "relu",
    ) -> None:
        at_least(1, hidden=hidden, num_orders=num_orders)
        if not hidden:
            raise UserError("model.hidden must name the width of at least one hidden layer.")
        if likelihood.conditions_colours:
            raise UserError(
                "model=made_image draws the colours of a pixel far from one another, and this likelihood joins them: "
                "set model/likelihood=categorical, or bernoulli for data of two values."
            )
        outputs_per_dim = likelihood.num_params // shape[0]
        _check_size(math.prod(shape), outputs_per_dim, hidden, direct)
        net = ManyOrdersMADE(math.prod(shape), outputs_per_dim, hidden, num_orders, direct, activation)
        super().__init__(shape, likelihood, order=net.places[0].long().view(*shape) - 1)
        self.num_orders = num_orders
        self.net = net

    def member(self, k: int) -> AutoregressiveModel:
        """p_k, which shares the weights."""
        return _Member(self, k)

    def conditionals(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.member(0).conditionals(x)

    def decoder(self, batch: int, y: Tensor | None = None) -> Decoder:
        return self.member(0).decoder(batch)

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        if self.training:
            return self.member(int(torch.randint(self.num_orders, ()))).log_prob(x)
        each = torch.stack([self.member(k).log_prob(x) for k in range(self.num_orders)])
        return each.logsumexp(dim=0) - math.log(self.num_orders)

    def drawn(self, x: Tensor, y: Tensor | None, noise: Tensor, how: Drawing) -> Tensor:
        members, noise = self._chosen_by(noise)
        for k in members.unique().tolist():
            mine = members == k
            x[mine] = self.member(k).drawn(x[mine], None, noise[mine], how)
        return x

    def _chosen_by(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """k for each image, [B], and the noise that is left: of u in [0, 1) the integer and the fraction of K u."""
        scaled = noise.flatten(1)[:, 0] * self.num_orders
        k = scaled.long().clamp(max=self.num_orders - 1)
        noise = noise.clone()
        noise[:, 0, 0, 0] = scaled - k
        return k, noise


def _check_size(features: int, outputs_per_dim: int, hidden: Sequence[int], direct: bool) -> None:
    widths = [features, *hidden, outputs_per_dim * features]
    weights = sum(below * above for below, above in itertools.pairwise(widths)) + direct * features * widths[-1]
    if weights > _MOST_WEIGHTS:
        remedy = "set model.direct=false or choose smaller images" if direct else "make model.hidden smaller"
        raise UserError(
            f"model=made_image would have {weights:.1e} weights for {features} sub-pixels of {outputs_per_dim} outputs "
            f"each; {remedy}."
        )


class _Member(AutoregressiveModel):
    """One of the orders of an `ImageMADE`."""

    def __init__(self, made: ImageMADE, k: int) -> None:
        order = made.net.places[k].long().view(made.shape) - 1
        super().__init__(made.shape, made.likelihood, order=order)
        self.net, self.k = made.net, k
        # Not train(), which would make the network forget its masked weights.
        self.training = made.training

    def conditionals(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net(self._inputs(x).flatten(1), self.k).view(len(x), -1, *self.shape[1:])

    def decoder(self, batch: int, y: Tensor | None = None) -> Decoder:
        unrolling = self.net.unrolling(self.k, batch)
        order = self.net.order(self.k).tolist()
        pixels = math.prod(self.shape[1:])
        inputs = self.net.places.new_empty(len(order), batch, dtype=self._dtype)
        steps = iter(range(len(order)))

        def decode(x: Tensor, row: int, column: int) -> Tensor:
            step = next(steps)
            if step:
                inputs[step - 1] = self._inputs(x.flatten(1)[:, order[step - 1]])
            params = inputs.new_zeros(batch, self.likelihood.num_params, 1)
            params[:, order[step] // pixels :: self.shape[0], 0] = unrolling.outputs(step, inputs[:step]).t()
            return params

        return decode

    def _inputs(self, x: Tensor) -> Tensor:
        # From 0, so that the black ground of digits switches nothing on.
        return 0.5 * (self._scaled(x) + 1.0)
