"""Fit a density to one pixel of five levels without noise, with uniform noise and with learned noise.

python experiments/dequantisation.py <folder> [<steps>]

The density is a mixture of five normal distributions, so what it gives a whole cell is known in closed form: exact is
-log2 of the integral over the cell of x, averaged over the data, which no code can bring below their entropy. Without
noise, densities at the middle of the cells are maximised; they grow for as long as one trains, and the bits that they
seem to cost fall below nought. With noise the figure is a bound, above the exact value and hence above the entropy.
A quarter of a CPU minute.
"""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from genmodels.bijections import Autoregressive, Compose, GaussianConditional
from genmodels.distributions import (
    Dequantization,
    MixtureOfGaussians,
    UniformDequantization,
    VariationalDequantization,
)
from genmodels.files import write_text
from genmodels.models import Flow
from genmodels.models.log_weights import log_weights
from genmodels.networks import MADENet
from genmodels.objectives.units import bits_per_dim
from genmodels.pictures import save_figure
from genmodels.progress_bar import progress

COUNTS = (10, 40, 110, 70, 20)  # of a batch, which is the whole data
LEVELS, EVERY, DRAWS, CELLS = len(COUNTS), 10, 4096, 1000


class NoNoise(Dequantization):
    """The middle of each cell, always: its weight is none."""

    def forward(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        return self.centre(x, dtype), self._log_cell_volume(x, dtype)


class OneHot(nn.Module):
    """Which level it is, of x / levels - 0.5: [B, 1] -> [B, levels]."""

    def forward(self, x: Tensor) -> Tensor:
        return F.one_hot(((x[:, 0] + 0.5) * LEVELS).round().long(), LEVELS).to(x.dtype)


def learned() -> Dequantization:
    """u = sigmoid(a(x) eps + b(x))."""
    network = MADENet(1, 2, [1], context_features=LEVELS)  # of one dimension only the context reaches the outputs
    return VariationalDequantization(LEVELS, Autoregressive(network, GaussianConditional()), OneHot())


NOISES: dict[str, Callable[[], Dequantization]] = {
    "no noise": lambda: NoNoise(LEVELS),
    "uniform noise": lambda: UniformDequantization(LEVELS),
    "learned noise": learned,
}


class Fitted(NamedTuple):
    """A model and its curves, bits a pixel at every tenth step: what it was trained on, and the exact value."""

    model: Flow
    trained_on: list[float]
    exact: list[float]


def data() -> Tensor:
    """250 pixels, uint8 [N, 1]."""
    return torch.repeat_interleave(torch.arange(LEVELS), torch.tensor(COUNTS)).to(torch.uint8)[:, None]


def entropy() -> float:
    """Of the data, bits a pixel."""
    shares = torch.tensor(COUNTS).double() / sum(COUNTS)
    return float(-(shares * shares.log2()).sum())


def mixture_of(model: Flow) -> MixtureOfGaussians:
    """Its density, which no bijection changes."""
    assert isinstance(model.base, MixtureOfGaussians)
    return model.base


def exact_log_prob(model: Flow) -> Tensor:
    """log P of every level, float64 [levels], nats: the mixture's mass between the edges of the cell."""
    base = mixture_of(model)
    edges = torch.arange(LEVELS + 1, dtype=torch.float64) / LEVELS
    standardized = (edges[:, None] - base.means[:, 0].double()) / base.log_scales[:, 0].double().exp()
    return (torch.special.ndtr(standardized).diff(dim=0) @ base.logits.double().softmax(dim=0)).log()


def bits(log_prob: Tensor) -> float:
    """The mean cost of a pixel, of log-probabilities in nats."""
    return float(bits_per_dim(log_prob, [1]).mean())


def fit(noise: Callable[[], Dequantization], steps: int) -> Fitted:
    """Maximise the mean log-weight."""
    torch.manual_seed(0)
    base, x = MixtureOfGaussians([1], LEVELS), data()
    with torch.no_grad():
        # Not the centres, which would be known already.
        base.means.copy_(torch.linspace(0.2, 0.8, LEVELS)[:, None])
        base.log_scales.fill_(math.log(0.15))
    model = Flow(Compose([]), [1], LEVELS, base=base, dequantization=noise()).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    trained_on, exact = [], []
    for step in progress(range(steps), type(model.dequantization).__name__):
        if step % EVERY == 0:
            with torch.no_grad():
                trained_on.append(bits(model.log_prob(x.repeat(16, 1))))
                exact.append(bits(exact_log_prob(model)[x[:, 0].long()]))
        optimizer.zero_grad()
        (-model.log_prob(x).mean()).backward()
        optimizer.step()
        schedule.step()
    return Fitted(model.eval(), trained_on, exact)


@torch.no_grad()
def measured(model: Flow) -> dict[str, float]:
    """Bits a pixel: by one draw of noise, by the log-mean-exp of 64, and exact; draws are averaged."""
    torch.manual_seed(1)
    x = data()
    weights = log_weights(model, x, None, DRAWS, "dequantisation")
    of_64 = weights.view(-1, 64, len(x)).logsumexp(dim=1) - math.log(64)
    return {"K = 1": bits(weights), "K = 64": bits(of_64), "exact": bits(exact_log_prob(model)[x[:, 0].long()])}


@torch.no_grad()
def draw(fits: dict[str, Fitted], path: Path) -> None:
    """Above the densities over the noisy pixels that they were fitted to, below the curves."""
    figure = Figure(figsize=(12, 6.6), layout="constrained")
    panels = figure.subplots(2, len(fits))
    for (name, (model, trained_on, exact)), (above, below) in zip(fits.items(), panels.T, strict=True):
        assert model.dequantization is not None
        torch.manual_seed(2)
        noisy = model.dequantization(data().repeat(400, 1), torch.float64)[0][:, 0]
        above.hist(noisy, bins=21 * LEVELS, range=(0, 1), density=True, color="0.8", label="what it was fitted to")
        # A peak is narrower than any grid.
        v = torch.cat((torch.linspace(-0.1, 1.1, CELLS), mixture_of(model).means[:, 0].float())).double().sort().values
        above.plot(v, model.base.log_prob(v[:, None]).exp(), color="tab:blue", label="density p(v)")
        for edge in range(LEVELS + 1):
            above.axvline(edge / LEVELS, color="0.6", linewidth=0.6, linestyle=":")
        above.set(title=name, yscale="log", ylim=(1e-2, 1e5), xlim=(-0.1, 1.1), xlabel=f"v = (x + u) / {LEVELS}")
        steps = range(0, EVERY * len(exact), EVERY)
        says = "$-\\log_2$ density at the centres" if name == "no noise" else "bound, K = 1"
        below.plot(steps, trained_on, color="tab:red", label=says)
        below.plot(steps, exact, color="tab:blue", label="exact, by integration")
        below.axhline(entropy(), color="black", linestyle="--", linewidth=1, label="entropy of the data")
        below.set(xlabel="step")
        if name != "no noise":
            below.set_ylim(entropy() - 0.05, entropy() + 0.35)
        above.legend(fontsize="small", loc="upper right")
        below.legend(fontsize="small", loc="upper right", bbox_to_anchor=(1, 0.9))
    panels[0, 0].set_ylabel("density")
    panels[1, 0].set_ylabel("bits a pixel")
    save_figure(figure, path)


def main(folder: Path, steps: int = 2000) -> dict[str, Any]:
    """Write dequantisation.png and .json into the folder."""
    fits = {name: fit(noise, steps) for name, noise in NOISES.items()}
    found = {"entropy": entropy(), **{name: measured(fitted.model) for name, fitted in fits.items()}}
    write_text(folder / "dequantisation.json", json.dumps({"steps": steps, "counts": COUNTS, **found}, indent=1) + "\n")
    draw(fits, folder / "dequantisation.png")
    return found


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    print(json.dumps(main(Path(sys.argv[1]), *map(int, sys.argv[2:3])), indent=1))
