"""K log importance weights of each example, from any model with a density."""

from torch import Tensor

from genmodels.errors import UserError
from genmodels.models.capabilities import offered, required
from genmodels.models.contract import Density, LatentVariables, Model


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


def check_samples(model: Model, samples: int, asker: str) -> None:
    """Raise UserError where the log of a mean over K samples would count the noise of estimates as likelihood.

    Args:
        model: in the mode in which it will be asked.
        samples: K.
        asker: who takes the mean, as the user typed it.
    """
    if samples > 1 and model.estimates_log_prob:
        raise UserError(
            f"{asker} takes the log of a mean over {samples} samples, which would count the noise of "
            f"{type(model).__name__}'s log-determinants as likelihood: take one sample, or train with exact "
            "log-determinants (model/log_det=brute_force)"
        )
