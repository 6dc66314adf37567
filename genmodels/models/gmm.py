"""A mixture of normal distributions as a model of its own: the baseline that every density of vectors has to beat."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from genmodels.distributions import MixtureOfGaussians
from genmodels.models.data_checks import vector_features
from genmodels.models.model import Model
from genmodels.networks.data_init import DataInitialized
from genmodels.ranges import at_least


class GMM(DataInitialized, Model):
    """p(x) = sum_k w_k N(x; m_k, diag s_k^2) with w, m and s learned by gradients. 2 K D + K parameters.

    As in the textbooks, the means start at examples, the first K of the first batch, which has at least so many. The
    scales start at the deviations of the data over K^(1/D), as cells have that share a box among them. Deviations from
    the textbooks: gradients in place of expectation maximisation, since they are what every other model here is
    trained by, and no correlations within a component.

    Args:
        shape: (D,).
        levels: None; vectors only.
        num_components: K.
    Raises:
        UserError: the data is not of vectors, or K is not positive.
    """

    takes = frozenset(("vectors",))
    exact = True

    def __init__(self, shape: Sequence[int], levels: int | None, num_components: int = 100) -> None:
        features = vector_features("gmm", shape)
        at_least(1, num_components=num_components)
        super().__init__()
        self.shape, self.levels = (features,), levels
        self.init_batch_size = max(self.init_batch_size, num_components)
        self.mixture = MixtureOfGaussians(self.shape, num_components)

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(x), exact. Shapes: x [B, D] -> [B], nats."""
        if self.is_pending:
            self._start_from(x)
        return self.mixture.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """`n` draws, [n, D]; for temperatures see `MixtureOfGaussians`."""
        return self.mixture.sample(n, temperature)

    def _start_from(self, x: Tensor) -> None:
        num_components, features = self.mixture.means.shape
        if len(x) < num_components:  # a set smaller than the mixture: its points in turn
            x = x.repeat(math.ceil(num_components / len(x)), 1)
        self.mixture.means.copy_(x[:num_components])
        scale = x.std(dim=0).clamp(min=1e-4) * num_components ** (-1 / features)
        self.mixture.log_scales.copy_(scale.log().expand_as(self.mixture.log_scales))
        self._done()
