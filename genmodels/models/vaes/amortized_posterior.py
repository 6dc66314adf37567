"""Planar and radial posteriors: Variational Inference with Normalizing Flows (Rezende & Mohamed, ICML 2015)."""

from genmodels.bijections import PLANAR, RADIAL, Amortized, Inverse, MapFamily
from genmodels.models.vaes.flow_posterior import FlowPosterior
from genmodels.ranges import at_least


class _AmortizedPosterior(FlowPosterior):
    """z = f_K o ... o f_1(z_0), with the parameters of all maps from the encoder, its own for each x."""

    def __init__(self, family: MapFamily, num_latents: int, num_maps: int) -> None:
        at_least(1, under="model.posterior.", num_latents=num_latents, num_maps=num_maps)
        maps = Amortized(family, num_latents, num_maps)
        super().__init__(num_latents, Inverse(maps), maps.context_features)


class PlanarPosterior(_AmortizedPosterior):
    """K planar maps, see `Planar`, of which the encoder gives w, b and u before it is constrained (Equation 10).

    As in the official code of Sylvester flows (van den Berg et al. 2018). Draws with their density are in closed form,
    the density of given z takes K one-dimensional roots.

    Args:
        num_latents: Z.
        num_maps: K; (2 Z + 1) K numbers of the encoder.
    """

    def __init__(self, num_latents: int, num_maps: int = 4) -> None:
        super().__init__(PLANAR, num_latents, num_maps)


class RadialPosterior(_AmortizedPosterior):
    """K radial maps, see `Radial`, of which the encoder gives centre, log alpha and beta before it is constrained.

    Both directions are in closed form (Equation 14).

    Args:
        num_latents: Z.
        num_maps: K; (Z + 2) K numbers of the encoder.
    """

    def __init__(self, num_latents: int, num_maps: int = 4) -> None:
        super().__init__(RADIAL, num_latents, num_maps)
