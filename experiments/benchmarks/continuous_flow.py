"""CPU seconds of a training step, `log_prob` and sampling of a continuous flow: genmodels, torchdiffeq and zuko.

    python experiments/benchmarks/continuous_flow.py [--rounds 10] [--trace exact]

Points of the plane, batch 512, a field of 64-64-64 tanh units, dopri5 at 1e-5, from 0 to 1. "torchdiffeq" is the least
that a user of that library writes: the adjoint, the trace by one vector-Jacobian product or two, samples without it.
genmodels has the time as a further input of each layer and backpropagates through the steps; `genmodels_adjoint` takes
the adjoint. zuko has the time as further inputs of the first layer alone. All start from weights of their own, so that
solvers may need different numbers of evaluations; NFE is those of one `log_prob`. Everything runs in one thread of this
process in turns; the figure to compare is CPU seconds. Ratios are over the fastest peer.
"""

import argparse
import itertools
import json
import math
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from densities import density_competitor, ratio_table, share_of_products
from rich.console import Console
from step_time import MEASURES, in_turns
from torch import Tensor, nn
from torchdiffeq import odeint, odeint_adjoint

from genmodels.bijections import Solver
from genmodels.models import CNF
from genmodels.networks import MLPField

FEATURES, WIDTH, TOLERANCE = 2, 64, 1e-5


class Plain(nn.Module):
    """A continuous flow in thirty lines of torchdiffeq."""

    def __init__(self, exact: bool) -> None:
        super().__init__()
        sizes = (FEATURES + 1, WIDTH, WIDTH, WIDTH)
        hidden = [part for a, b in itertools.pairwise(sizes) for part in (nn.Linear(a, b), nn.Tanh())]
        self.net = nn.Sequential(*hidden, nn.Linear(WIDTH, FEATURES))
        self.exact = exact
        self.noise: Tensor | None = None
        self.evaluations = 0

    def field(self, t: Tensor, z: Tensor) -> Tensor:
        self.evaluations += 1
        return self.net(torch.cat((t.expand(len(z), 1), z), dim=1))

    def forward(self, t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            z = state[0].requires_grad_()
            f = self.field(t, z)
            if self.exact:
                grads = [torch.autograd.grad(f[:, i].sum(), z, create_graph=True)[0][:, i] for i in range(FEATURES)]
                return f, torch.stack(grads).sum(dim=0)
            (product,) = torch.autograd.grad(f, z, self.noise, create_graph=True)
            return f, (product * self.noise).sum(dim=1)

    def log_prob(self, x: Tensor) -> Tensor:
        self.noise, self.evaluations = torch.randn_like(x), 0
        times = torch.tensor([0.0, 1.0])
        z, log_det = odeint_adjoint(self, (x, torch.zeros(len(x))), times, atol=TOLERANCE, rtol=TOLERANCE)
        return log_det[1] - 0.5 * z[1].square().sum(dim=1) - math.log(2 * math.pi)

    def sample(self, n: int) -> Tensor:
        z = torch.randn(n, FEATURES)
        return odeint(self.field, z, torch.tensor([1.0, 0.0]), atol=TOLERANCE, rtol=TOLERANCE)[1]


class Zuko(nn.Module):
    """`zuko.flows.CNF`, whose tolerances are set."""

    def __init__(self, exact: bool) -> None:
        import zuko

        super().__init__()
        self.flow = zuko.flows.CNF(
            FEATURES, hidden_features=[WIDTH] * 3, activation=nn.Tanh, exact=exact, atol=TOLERANCE, rtol=TOLERANCE
        )

    def log_prob(self, x: Tensor) -> Tensor:
        return self.flow().log_prob(x)

    def sample(self, n: int) -> Tensor:
        return self.flow().sample((n,))


def genmodels(trace: str, adjoint: bool) -> CNF:
    """Both modes with the same trace, so that all score alike."""
    solver = Solver("dopri5", TOLERANCE, TOLERANCE, adjoint=adjoint)
    field = MLPField(WIDTH, 3, "concat", "tanh")
    return CNF((FEATURES,), None, 1, field, trace=trace, evaluation_trace=trace, solver=solver)  # type: ignore[arg-type]


MAKERS: dict[str, Callable[[str], Any]] = {
    "genmodels": lambda trace: genmodels(trace, adjoint=False),
    "genmodels_adjoint": lambda trace: genmodels(trace, adjoint=True),
    "torchdiffeq": lambda trace: Plain(trace == "exact"),
    "zuko": lambda trace: Zuko(trace == "exact"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="+", choices=list(MAKERS), default=list(MAKERS))
    parser.add_argument("--trace", choices=["gaussian", "exact"], default="gaussian")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--json", type=Path, help="file for every single time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(options.batch, FEATURES)
    console = Console()
    competitors = {}
    for name in options.models:
        try:
            # At such a rate it hardly moves, and a step's work stays the same.
            competitors[name] = density_competitor(MAKERS[name](options.trace), x, lr=1e-6)
        except ModuleNotFoundError as error:
            console.print(f"{name} is left out: {error} (the extra `benchmarks` installs it).", soft_wrap=True)
    times = {measure: in_turns(competitors, measure, options.rounds) for measure in MEASURES}
    for measure, seconds in times.items():
        console.print(ratio_table(measure, seconds, competitors, notes={"NFE": _evaluations}))
    for name, competitor in competitors.items():
        console.print(f"{name}, matrix products: {share_of_products(competitor)}", soft_wrap=True)
    if options.json:
        settings = {"trace": options.trace, "batch": options.batch, "rounds": options.rounds}
        options.json.write_text(json.dumps({**settings, "torch": version("torch"), "seconds": times}, indent=2) + "\n")


def _evaluations(flow: Any) -> str:
    """Of the field, in the latest `log_prob`, where the flow tells."""
    if isinstance(flow, CNF):
        flow.log_prob(torch.randn(512, FEATURES))
        return f"{flow.diagnostics()['nfe']:.0f}"
    if isinstance(flow, Plain):
        flow.log_prob(torch.randn(512, FEATURES))
        return str(flow.evaluations)
    return ""


if __name__ == "__main__":
    main()
