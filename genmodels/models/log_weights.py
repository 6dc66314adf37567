"""K log importance weights of each example, from any model with a density."""

from torch import Tensor

from genmodels.models.capabilities import offered, required
from genmodels.models.contract import Density, LatentVariables
from genmodels.models.model import Model


def log_weights(model: Model, x: Tensor, y: Tensor | None, samples: int, asker: str) -> Tensor:
    """Independent log-weights of which each has E[w] = p(x). Shapes: x [B, *shape], y [B] -> [K, B], nats.

    A variational autoencoder infers once and draws K latents; other models see each example K times.

    Args:
        samples: K.
        asker: what needs a density, as the user typed it.
    Raises:
        UserError: the model has none.
    """
    latent = offered(model, LatentVariables)
    if latent is not None:
        return latent.terms(x, y, samples).log_weights
    density = required(model, Density, asker)
    repeated = x.repeat(samples, *[1] * (x.dim() - 1))
    return density.log_prob(repeated, None if y is None else y.repeat(samples)).view(samples, -1)
