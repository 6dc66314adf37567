"""Planar and radial flows (Rezende & Mohamed, Variational Inference with Normalizing Flows, ICML 2015, 1505.05770)."""

from collections.abc import Callable, Sequence

from genmodels.bijections import Bijection, Compose, Inverse, Planar, Radial
from genmodels.models.data_checks import vector_features
from genmodels.models.flows.flow import Flow
from genmodels.ranges import at_least


class _FromNoise(Flow):
    """x = f_K o ... o f_1(z), all f_k of one kind, z standard normal (Equation 6).

    Deviation: the paper does not say what noise its figure starts from.
    """

    takes = frozenset(("vectors",))

    def __init__(
        self, name: str, kind: Callable[[int], Bijection], shape: Sequence[int], levels: int | None, num_layers: int
    ) -> None:
        at_least(1, num_layers=num_layers)
        features = vector_features(name, shape)
        super().__init__(Inverse(Compose(kind(features) for _ in range(num_layers))), shape, levels)


class PlanarFlow(_FromNoise):
    """K planar maps from standard normal noise to data.

        x = f_K o ... o f_1(z),   f_k(z) = z + u_k tanh(w_k'z + b_k)   (Equations 6 and 10)

    Section 6.1 uses K = 2, 8 and 32 on the plane: 5 K parameters. Sampling with the density of the samples, all that
    reverse KL needs, is in closed form; the density of given points needs K one-dimensional roots each, see `Planar`.

    Args:
        shape: (D,).
        levels: None; vectors only.
        num_layers: K.
    Raises:
        UserError: the data is not of vectors, or K is not positive.
    """

    def __init__(self, shape: Sequence[int], levels: int | None, num_layers: int = 32) -> None:
        super().__init__("planar", Planar, shape, levels, num_layers)


class RadialFlow(_FromNoise):
    """K radial maps from standard normal noise to data.

        x = f_K o ... o f_1(z),   f_k(z) = z + beta_k (z - c_k) / (alpha_k + |z - c_k|)   (Equations 6 and 14)

    4 K parameters on the plane. Both directions are in closed form. The paper shows what a radial map does (Figure 1)
    and gives no result; K = 32 is that of its longest planar flow.

    Args:
        shape: (D,).
        levels: None; vectors only.
        num_layers: K.
    Raises:
        UserError: the data is not of vectors, or K is not positive.
    """

    def __init__(self, shape: Sequence[int], levels: int | None, num_layers: int = 32) -> None:
        super().__init__("radial", Radial, shape, levels, num_layers)
