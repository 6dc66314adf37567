"""Planar flow (Rezende & Mohamed, Variational Inference with Normalizing Flows, ICML 2015, arXiv:1505.05770)."""

from collections.abc import Sequence

from genmodels.bijections import Compose, Inverse, Planar
from genmodels.models.flows.flow import Flow
from genmodels.models.flows.vectors import vector_features


class PlanarFlow(Flow):
    """K planar maps from standard normal noise to data.

        x = f_K o ... o f_1(z),   f_k(z) = z + u_k tanh(w_k'z + b_k)   (Equations 6 and 10)

    Section 6.1 uses K = 2, 8 and 32 on the plane: 5 K parameters. Sampling with the density of the samples, all that
    reverse KL needs, is in closed form; the density of given points needs K one-dimensional roots each, see `Planar`.

    Deviation: the noise is a standard normal one; the paper does not say what its figure starts from.

    Args:
        shape: (D,).
        levels: None; vectors only.
        num_layers: K.
    Raises:
        UserError: the data is not of vectors, or K is not positive.
    """

    takes = frozenset(("vectors",))

    def __init__(self, shape: Sequence[int], levels: int | None, num_layers: int = 32) -> None:
        features = vector_features("planar", shape, num_layers)
        to_data = Compose(Planar(features) for _ in range(num_layers))
        super().__init__(Inverse(to_data), shape, levels)
