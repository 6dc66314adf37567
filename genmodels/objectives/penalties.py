"""What keeps a critic smooth: penalties on its gradient, or bounds of its weights."""

import torch
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.models.contract import AdversarialPair
from genmodels.networks.standing_statistics import has_batch_norm
from genmodels.objectives.penalty import Critic, Penalty
from genmodels.ranges import at_least


class GradientPenalty(Penalty):
    """weight * E[(|grad D(x')| - target)^2], x' = e x + (1 - e) G(z), e ~ U(0, 1) (Gulrajani et al. 2017, Equation 3).

    One e for each image. The gradient of a score is that of its own image only where the critic does not mix its
    batch, so there may be no batch norm in it.

    Args:
        weight: lambda.
        target: the norm that is wished for, 1 for a Wasserstein critic; 0 for a zero-centred penalty.
    """

    def __init__(self, weight: float = 10.0, target: float = 1.0) -> None:
        at_least(0, under="objective.penalty.", weight=weight, target=target)
        self.weight, self.target = weight, target

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
        between = torch.lerp(fake, real, share)
        norms = torch.linalg.vector_norm(_gradient(critic, between).flatten(1), dim=1)
        return self.weight * (norms - self.target).square().mean()

    def check(self, pair: AdversarialPair) -> None:
        _alone("gradient", pair)


class R1(Penalty):
    """gamma / 2 * E[|grad D(x)|^2] over data (Mescheder et al. 2018, Equation 9).

    Their own code multiplies by gamma without the half: its 10 is our 20.

    Args:
        gamma: weight.
        every: so many updates of the critic; StyleGAN2 takes 16, and then has Adam's rate and betas at c = 16 / 17
            (lr * c, beta ** c).
    """

    def __init__(self, gamma: float = 10.0, every: int = 1) -> None:
        at_least(0, under="objective.penalty.", gamma=gamma)
        at_least(1, under="objective.penalty.", every=every)
        self.gamma, self.every = gamma, every

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return self.gamma / 2 * _gradient(critic, real).square().flatten(1).sum(dim=1).mean()

    def check(self, pair: AdversarialPair) -> None:
        _alone("r1", pair)


class WeightClipping(Penalty):
    """After each update the critic's weights are cut to [-bound, bound] (Arjovsky et al. 2017, Algorithm 1).

    Args:
        bound: c.
    """

    def __init__(self, bound: float = 0.01) -> None:
        if bound <= 0:
            raise UserError(f"objective.penalty.bound must be above 0, got {bound}")
        self.bound = bound

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> None:
        return None

    @torch.no_grad()
    def after_step(self, discriminator: nn.Module) -> None:
        torch._foreach_clamp_min_(list(discriminator.parameters()), -self.bound)
        torch._foreach_clamp_max_(list(discriminator.parameters()), self.bound)


def _gradient(critic: Critic, x: Tensor) -> Tensor:
    """Of each score with respect to its own image, itself differentiable."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(critic(x).sum(), x, create_graph=True)[0]


def _alone(name: str, pair: AdversarialPair) -> None:
    if has_batch_norm(pair.discriminator):  # a minibatch standard deviation is nearly the same for all of a batch
        raise UserError(
            f"objective/penalty={name} needs a critic that scores each image by itself, and {type(pair).__name__}'s "
            "mixes its batch: choose model.critic_norm=none or a model without batch norm in the critic"
        )
