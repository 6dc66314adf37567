"""Train a critic between two known densities on the line and lay it beside the best one there is, p / (p + q).

python experiments/optimal_discriminator.py <folder> [<steps>]

Goodfellow et al. 2014, Proposition 1: of all discriminators D(x) in (0, 1) the one with the least logistic loss is
p(x) / (p(x) + q(x)), and its loss is log 4 - 2 JSD(p, q). So the score of a trained critic, the logit of D, is the
logarithm of the ratio p / q. Both hold where there are points; further out nothing holds the critic. Left the two
densities, in the middle D, right the ratio. A quarter of a CPU minute.
"""

import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily, Normal

from genmodels.files import write_text
from genmodels.models import GAN
from genmodels.objectives import NonSaturating
from genmodels.pictures import save_figure
from genmodels.progress_bar import progress

BATCH, SIDE, CELLS = 1024, 7.0, 1401
LEAST = 0.01  # of (p + q) / 2, for the critic to be held to the best one


def mixture(weights: list[float], means: list[float], deviations: list[float]) -> MixtureSameFamily:
    """Of Gaussians on the line."""
    return MixtureSameFamily(Categorical(torch.tensor(weights)), Normal(torch.tensor(means), torch.tensor(deviations)))


P = mixture([0.5, 0.5], [-2.0, 1.5], [0.5, 0.8])
Q = mixture([0.7, 0.3], [-1.0, 3.0], [1.0, 0.4])


def line() -> Tensor:
    """Equally spaced points, [1401]."""
    return torch.linspace(-SIDE, SIDE, CELLS)


def optimum(x: Tensor) -> Tensor:
    """p / (p + q), [N] -> [N]."""
    return (P.log_prob(x) - Q.log_prob(x)).sigmoid()


def trained(steps: int) -> nn.Module:
    """A critic of points [N, 1], trained on fresh ones."""
    torch.manual_seed(0)
    critic, game = GAN([1], None, width=64).discriminator, NonSaturating()
    optimizer = torch.optim.Adam(critic.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in progress(range(steps), "critic"):
        optimizer.zero_grad()
        game.critic_loss(critic(P.sample((BATCH, 1))), critic(Q.sample((BATCH, 1)))).backward()
        optimizer.step()
        schedule.step()
    return critic


@torch.no_grad()
def compared(critic: nn.Module) -> dict[str, float]:
    """How far D and log p/q are off, at most where (p + q) / 2 is 0.01 at least, and the JSD in nats either way.

    Integrals are by quadrature, so that the critic's JSD is a lower bound, as of any critic.
    """
    x = line().double()
    log_p, log_q, score = P.log_prob(x), Q.log_prob(x), critic(x[:, None].float()).double()
    p, q = log_p.exp(), log_q.exp()
    density = (p + q) / 2
    held = density >= LEAST
    off = (score.sigmoid() - p / (p + q)).abs()
    loss = torch.trapezoid(p * F.softplus(-score) + q * F.softplus(score), x)
    best = torch.trapezoid(p * F.softplus(log_q - log_p) + q * F.softplus(log_p - log_q), x)
    return {
        "share of points held to": float(torch.trapezoid(density * held, x)),
        "largest deviation of D": float(off[held].max()),
        "mean deviation of D": float(torch.trapezoid(density * off, x)),
        "largest deviation of log p/q": float((score - log_p + log_q)[held].abs().max()),
        "JSD": (math.log(4) - float(best)) / 2,
        "JSD by the critic": (math.log(4) - float(loss)) / 2,
    }


@torch.no_grad()
def draw(critic: nn.Module, path: Path) -> None:
    """Three panels: the densities, the discriminators, the ratios; grey where there are hardly any points."""
    x = line()
    p, q, score = P.log_prob(x).exp(), Q.log_prob(x).exp(), critic(x[:, None])
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3, sharex=True)
    left.plot(x, p, color="tab:blue", label="p, data")
    left.plot(x, q, color="tab:orange", label="q, samples")
    middle.plot(x, optimum(x), color="black", label="p / (p + q)")
    middle.plot(x, score.sigmoid(), "--", color="tab:red", label="trained")
    right.plot(x, p / q, color="black", label="p / q")
    right.plot(x, score.exp(), "--", color="tab:red", label="exp(score)")
    left.set_title("densities")
    middle.set(title="discriminator", ylim=(-0.05, 1.05))
    right.set(title="ratio", yscale="log", ylim=(1e-4, 1e4))
    for axes in (left, middle, right):
        axes.fill_between(x, 0, 1, where=(p + q) / 2 < LEAST, color="0.9", transform=axes.get_xaxis_transform())
        axes.set_xlim(-SIDE, SIDE)
        axes.legend(fontsize="small")
    save_figure(figure, path)


def main(folder: Path, steps: int = 4000) -> dict[str, float]:
    """Write optimal_discriminator.png and .json into the folder."""
    critic = trained(steps)
    found = compared(critic)
    text = json.dumps({"steps": steps, "batch_size": BATCH, "least_density": LEAST, **found}, indent=1)
    write_text(folder / "optimal_discriminator.json", text + "\n")
    draw(critic, folder / "optimal_discriminator.png")
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), *map(int, sys.argv[2:3])), indent=1))
