"""Compute what four divergences and two trained critics say of two parallel lines, as a function of their distance.

python experiments/jsd_wasserstein.py <folder> [<steps of each critic>]

Example 1 of Arjovsky et al. 2017 (WGAN): P is uniform on {0} x [0, 1] and Q on {theta} x [0, 1]. Wherever theta is not
nought, the Jensen-Shannon divergence is log 2, the total variation 1 and both Kullback-Leibler divergences are
infinite: nothing tells Q where to go. The Wasserstein distance is |theta|. Here nothing is drawn from these formulas:

- JSD, KL and total variation are sums over the cells of a histogram, W1 is the cost of the best assignment of points;
- a critic with the logistic loss, whose least value is log 4 - 2 JSD, is trained anew for each theta, and one with
  a Wasserstein loss and gradient penalty, whose gap between mean scores estimates W1. A slope s of the latter gains
  |theta| s - 10 (s - 1)^2, so its best is not 1 but 1 + |theta| / 20, and the gap somewhat more than W1.

A CPU minute.
"""

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from genmodels.files import write_text
from genmodels.models import GAN
from genmodels.objectives import GradientPenalty, NonSaturating, Wasserstein
from genmodels.pictures import save_figure
from genmodels.progress_bar import progress

Point = dict[str, float]
POINTS, CELL = 256, 1 / 32
THETAS = [i / 8 for i in range(-8, 9)]
BATCH = 256
_TOP = 1.25  # where the infinite is drawn


def line(theta: float, heights: Tensor) -> Tensor:
    """Points at these heights of the line {theta} x [0, 1], [N, 2]."""
    return torch.stack((torch.full_like(heights, theta), heights), dim=1)


def divergences(p: Tensor, q: Tensor) -> Point:
    """Of two sets of points [N, 2], each point of weight 1 / N, in nats: those of histograms, and W1 without one."""
    first, second = histograms(p, q)
    mean = (first + second) / 2
    return {
        "KL(P || Q)": kl(first, second),
        "KL(Q || P)": kl(second, first),
        "JSD": (kl(first, mean) + kl(second, mean)) / 2,
        "total variation": float((first - second).abs().sum() / 2),
        "W1": wasserstein(p, q),
    }


def histograms(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Shares of the points in each cell, a square of side 1/32 about multiples of it, that holds one of either set."""
    cells = (torch.cat((p, q)) / CELL).round().long()
    _, numbers = cells.unique(dim=0, return_inverse=True)
    count = int(numbers.max()) + 1
    first, second = (part.bincount(minlength=count).double() / len(part) for part in numbers.split([len(p), len(q)]))
    return first, second


def kl(p: Tensor, q: Tensor) -> float:
    """sum p log(p / q) over cells, infinite where p has mass and q has none."""
    return float(torch.where(p > 0, p * (p / q).log(), 0.0).sum())


def wasserstein(p: Tensor, q: Tensor) -> float:
    """The mean Euclidean distance of the best assignment of one set of points [N, 2] to the other."""
    costs = torch.cdist(p.double(), q.double()).numpy()
    return float(costs[linear_sum_assignment(costs)].mean())


def trained_critic(
    theta: float, loss: Callable[[nn.Module, Tensor, Tensor], Tensor], steps: int
) -> tuple[Tensor, Tensor]:
    """Scores of points of P and of Q by a critic that has been trained on fresh ones, [N] each."""
    torch.manual_seed(0)
    critic = GAN([2], None, width=64).discriminator
    optimizer = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.9))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in progress(range(steps), f"critic, theta = {theta:g}"):
        optimizer.zero_grad()
        loss(critic, line(0.0, torch.rand(BATCH)), line(theta, torch.rand(BATCH))).backward()
        optimizer.step()
        schedule.step()
    heights = strata()
    with torch.no_grad():
        return critic(line(0.0, heights)), critic(line(theta, heights))


def strata() -> Tensor:
    """The uniform distribution on [0, 1] as equally spaced points."""
    return (torch.arange(POINTS) + 0.5) / POINTS


def logistic_estimate(theta: float, steps: int) -> float:
    """Of the JSD: (log 4 - loss) / 2."""
    game = NonSaturating()
    real, fake = trained_critic(theta, lambda critic, p, q: game.critic_loss(critic(p), critic(q)), steps)
    return (math.log(4) - float(game.critic_loss(real, fake))) / 2


def wasserstein_estimate(theta: float, steps: int) -> float:
    """Of W1: the gap between the mean scores."""
    game, penalty = Wasserstein(), GradientPenalty()
    real, fake = trained_critic(
        theta, lambda critic, p, q: game.critic_loss(critic(p), critic(q)) + penalty(critic, p, q), steps
    )
    return -float(game.critic_loss(real, fake))


def measured(theta: float, steps: int) -> Point:
    """All numbers for one distance."""
    heights = strata()
    return {
        "theta": theta,
        **divergences(line(0.0, heights), line(theta, heights)),
        "logistic critic": logistic_estimate(theta, steps),
        "Wasserstein critic": wasserstein_estimate(theta, steps),
    }


def draw(points: Sequence[Point], path: Path) -> None:
    """Left the divergences, right what the critics say beside the two that they estimate."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    thetas = [point["theta"] for point in points]

    def curve(axes: Any, name: str, style: str, **rest: Any) -> None:
        axes.plot(thetas, [point[name] for point in points], style, **rest)

    curve(left, "total variation", "s", color="tab:green", label="total variation")
    curve(left, "JSD", "o", color="tab:red", label="JSD, nats")
    curve(left, "W1", "o", color="tab:blue", label="W1")
    for name, mark, colour in (("KL(P || Q)", "^", "tab:orange"), ("KL(Q || P)", "v", "tab:purple")):
        heights = [min(point[name], _TOP) for point in points]
        left.plot(thetas, heights, mark, color=colour, label=f"{name}, nats; on top: infinite", fillstyle="none")
    curve(right, "JSD", ":", color="tab:red", label="JSD, nats")
    curve(right, "logistic critic", "o", color="tab:red", label="(log 4 - loss of a logistic critic) / 2")
    curve(right, "W1", ":", color="tab:blue", label="W1")
    curve(right, "Wasserstein critic", "o", color="tab:blue", label="gap of a Wasserstein critic, gradient penalty")
    left.set(title="computed of P and Q", ylim=(-0.05, 2.0))
    right.set(title="estimated by trained critics")
    for axes in (left, right):
        axes.set_xlabel("theta")
        axes.legend(fontsize="small", loc="upper center")
    save_figure(figure, path)


def main(folder: Path, steps: int = 600, thetas: Sequence[float] = THETAS) -> list[Point]:
    """Write jsd_wasserstein.png and .json into the folder."""
    points = [measured(theta, steps) for theta in thetas]
    writable = [{key: value if math.isfinite(value) else "infinite" for key, value in p.items()} for p in points]
    write_text(folder / "jsd_wasserstein.json", json.dumps({"steps": steps, "points": writable}, indent=1) + "\n")
    draw(points, folder / "jsd_wasserstein.png")
    return points


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
