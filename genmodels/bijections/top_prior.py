"""Glow's learned prior of the last latent as a bijection."""

from torch import Tensor, nn

from genmodels.bijections.affine import Standardize
from genmodels.bijections.base import Bijection, sum_per_sample
from genmodels.networks.conv import ZeroConv2d


class LearnedTopPrior(Bijection):
    """Glow's prior of the last latent, N(mu, sigma), shared by all images or one for each class; see `Standardize`.

    Kingma & Dhariwal 2018, official code `prior` with --learntop and --ycond: mu and log sigma are a `ZeroConv2d`
    applied to an image of zeros, plus a linear map of the one-hot class. On zeros only the convolution's bias, its
    log-scale and its edge channel have an effect; its other weights never move. They are kept so that the number of
    parameters is the published one. Deviation: the map of the class has no factor exp(3 logs) (`linear_zeros`).

    Args:
        channels: of the latent.
        num_classes: width of the one-hot context; 0 for none.
        edge: see `EdgeAwareConv2d`.
    Shapes: x, z [B, channels, H, W]; context [B, num_classes].
    """

    def __init__(self, channels: int, num_classes: int = 0, edge: bool = False) -> None:
        super().__init__()
        self.conv = ZeroConv2d(2 * channels, 2 * channels, edge=edge)
        self.of_class = nn.Linear(num_classes, 2 * channels) if num_classes else None
        if self.of_class is not None:
            nn.init.zeros_(self.of_class.weight)
            nn.init.zeros_(self.of_class.bias)
        self.standardize = Standardize()

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_derivative = self.standardize(x, self._parameters_for(x, context))
        return z, sum_per_sample(log_derivative)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, log_derivative = self.standardize.inverse(z, self._parameters_for(z, context))
        return x, sum_per_sample(log_derivative)

    def _parameters_for(self, x: Tensor, context: Tensor | None) -> Tensor:
        h = self.conv(x.new_zeros(1, 2 * x.shape[1], x.shape[2], x.shape[3]))
        if self.of_class is not None and context is not None:
            h = h + self.of_class(context)[:, :, None, None]
        return h.expand(x.shape[0], -1, -1, -1)
