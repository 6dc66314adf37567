"""The losses of generator and critic: each a pair of functions of the critic's scores."""

import torch.nn.functional as F
from torch import Tensor

from genmodels.objectives.adversarial import Adversarial


class Minimax(Adversarial):
    """min_G max_D E[log D(x)] + E[log(1 - D(G(z)))], D = sigmoid(score) (Goodfellow et al. 2014, Equation 1).

    Where the critic wins, the generator's gradient vanishes: the paper's own remark, and why `NonSaturating` is used.
    """

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        return -F.softplus(fake).mean()


class NonSaturating(Adversarial):
    """The critic's loss of minimax; the generator maximises E[log D(G(z))] (Goodfellow et al. 2014, Section 3)."""

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        return F.softplus(-fake).mean()


class LeastSquares(Adversarial):
    """Scores are to be 1 for data and 0 for samples, to the critic (Mao et al. 2017, Equation 9: a = 0, b = c = 1)."""

    zero_decides = False

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return ((real - 1).square().mean() + fake.square().mean()) / 2

    def generator_loss(self, fake: Tensor) -> Tensor:
        return (fake - 1).square().mean() / 2


class Hinge(Adversarial):
    """Scores count up to 1 for data, down to -1 for samples (Lim & Ye 2017; Miyato et al. 2018, Equations 16, 17)."""

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        return -fake.mean()


class Wasserstein(Adversarial):
    """max_D E[D(x)] - E[D(G(z))] (Arjovsky et al. 2017, Equation 2): a distance where D is 1-Lipschitz.

    That is for `penalty` to see to: clipped weights or a gradient penalty, or a critic with spectral norms.
    """

    zero_decides = False

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        return -fake.mean()
