"""Radial flow (Rezende & Mohamed, Variational Inference with Normalizing Flows, ICML 2015, arXiv:1505.05770)."""

from collections.abc import Sequence

from genmodels.bijections import Compose, Inverse, Radial
from genmodels.models.flows.flow import Flow
from genmodels.models.flows.vectors import vector_features


class RadialFlow(Flow):
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

    takes = frozenset(("vectors",))

    def __init__(self, shape: Sequence[int], levels: int | None, num_layers: int = 32) -> None:
        features = vector_features("radial", shape, num_layers)
        to_data = Compose(Radial(features) for _ in range(num_layers))
        super().__init__(Inverse(to_data), shape, levels)
