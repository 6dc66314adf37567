"""CPU seconds of a training step, of log_prob and of sampling: genmodels, its peers and the bare convolutions.

    python experiments/benchmarks/step_time.py [--model glow] [--rounds 10] [--batch 16] [--models genmodels nflows]

Glow (3 scales of 8 steps, width 128) against nflows, normflows and FrEIA, or RealNVP (2 scales, width 32, 2 blocks) or
Flow++ (the layout of its CIFAR-10 model, 4 blocks of width 48), which no installable library has, on 3x32x32 images of
noise. All train with fused Adam, genmodels' default. `genmodels` is the class as it comes, with the edge channel that
the official code has and no peer; `genmodels_no_edge` lacks it. One thread; for each measure the competitors take turns
in a rotated order, so that a busy machine slows all of them. `floor` is the convolutions, and for Flow++ the attention,
of the coupling networks alone.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import torch
from floor import BareConvolutions, BareFlowPP, glow_networks, realnvp_networks
from peers import LEVELS, PEERS, PeerGlow
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from genmodels.models import Flow, FlowPP, Glow, RealNVP
from genmodels.models.flows.flowpp import CIFAR10_LAYOUT
from genmodels.networks.data_init import initialize
from genmodels.objectives.units import bits_per_dim

SHAPE = (3, 32, 32)
GLOW: dict[str, Any] = {"num_scales": 3, "num_steps": 8, "width": 128}
REALNVP: dict[str, Any] = {"num_scales": 2, "width": 32, "num_blocks": 2}
FLOWPP: dict[str, Any] = {"layout": CIFAR10_LAYOUT, "width": 48, "num_blocks": 4, "num_components": 12, "heads": 4}
COMPETITORS = {
    "glow": ["genmodels", "genmodels_no_edge", *PEERS, "floor"],
    "realnvp": ["genmodels", "floor"],
    "flowpp": ["genmodels", "floor"],
}
MEASURES = ("train", "log_prob", "sample")

ImageFlow = Flow | PeerGlow
Times = dict[str, dict[str, list[float]]]  # measure -> competitor -> CPU seconds, one for each round


@dataclass
class Competitor:
    """What is timed under each of MEASURES, and the module whose training mode it runs in."""

    module: nn.Module
    actions: Mapping[str, Callable[[], object]]

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.module.parameters() if p.requires_grad)


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    console = Console()
    competitors = _competitors(options.model, options.models or COMPETITORS[options.model], options.batch, console)
    times = {measure: in_turns(competitors, measure, options.rounds) for measure in MEASURES}
    results = _summary(competitors, times)
    console.print(f"{options.model}, batch {options.batch}, {options.rounds} rounds, CPU seconds of one thread")
    for measure in MEASURES:
        console.print(_table(results, measure))
    if options.json:
        settings = {"model": options.model, "batch": options.batch, "rounds": options.rounds, "torch": version("torch")}
        options.json.write_text(json.dumps({**settings, "results": results}, indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", choices=list(COMPETITORS), default="glow")
    parser.add_argument("--models", nargs="+", choices=COMPETITORS["glow"], help="competitors, all unless given")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=16, help="images")
    parser.add_argument("--json", type=Path, help="file for every single time")
    options = parser.parse_args()
    absent = set(options.models or []) - set(COMPETITORS[options.model])
    if absent:
        parser.error(f"--model {options.model} has no competitor {', '.join(sorted(absent))}")
    if min(options.rounds, options.batch) < 1:
        parser.error("--rounds and --batch are at least 1")
    return options


def _competitors(model: str, names: Sequence[str], batch: int, console: Console) -> dict[str, Competitor]:
    x = torch.randint(LEVELS, (batch, *SHAPE), dtype=torch.uint8)
    competitors = {}
    for name in names:
        try:
            competitors[name] = _floor(model, batch) if name == "floor" else _flow(name, _build(model, name), x)
        except ModuleNotFoundError as error:
            console.print(f"{name} is left out: {error} (the extra `benchmarks` installs it).", soft_wrap=True)
    if not competitors:
        raise SystemExit("Nothing to time.")
    return competitors


def _build(model: str, name: str) -> ImageFlow:
    if name in PEERS:
        return PEERS[name](SHAPE, **GLOW)
    if model == "glow":
        return Glow(SHAPE, LEVELS, edge=name == "genmodels", **GLOW)
    return RealNVP(SHAPE, LEVELS, **REALNVP) if model == "realnvp" else FlowPP(SHAPE, LEVELS, **FLOWPP)


def _flow(name: str, flow: ImageFlow, x: Tensor) -> Competitor:
    _initialize(flow, x)
    _check(name, flow, x)
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-4, fused=True)

    def train() -> None:
        optimizer.zero_grad()
        bits_per_dim(flow.log_prob(x), SHAPE).mean().backward()
        optimizer.step()

    @torch.no_grad()
    def log_prob() -> Tensor:
        return flow.log_prob(x)

    return Competitor(flow, {"train": train, "log_prob": log_prob, "sample": lambda: flow.sample(len(x))})


def _initialize(flow: ImageFlow, x: Tensor) -> None:
    """Set actnorm from the data: genmodels' when asked, the peers' in the first call in training mode."""
    initialize(flow, lambda: flow.log_prob(x))
    with torch.no_grad():
        flow.train().log_prob(x)


def _check(name: str, flow: ImageFlow, x: Tensor) -> None:
    flow.eval()
    with torch.no_grad():
        log_prob, samples = flow.log_prob(x), flow.sample(len(x))
    if log_prob.shape != x.shape[:1] or not log_prob.isfinite().all():
        raise SystemExit(f"{name}: log_prob is {log_prob}, not {len(x)} finite numbers.")
    if samples.shape != x.shape or samples.dtype != x.dtype:
        raise SystemExit(f"{name}: sample gave {samples.dtype} {list(samples.shape)}, not {x.dtype} {list(x.shape)}.")


def _floor(model: str, batch: int) -> Competitor:
    floor: BareConvolutions | BareFlowPP
    if model == "flowpp":
        floor = BareFlowPP(SHAPE, batch, **FLOWPP)
    else:
        networks = glow_networks(SHAPE, **GLOW) if model == "glow" else realnvp_networks(SHAPE, **REALNVP)
        floor = BareConvolutions(networks, batch)

    @torch.no_grad()
    def forward() -> list[Tensor]:
        return floor()

    return Competitor(floor, {"train": floor.forward_and_backward, "log_prob": forward, "sample": forward})


def in_turns(competitors: Mapping[str, Competitor], measure: str, rounds: int) -> dict[str, list[float]]:
    """CPU seconds of `rounds` turns, each begun by another competitor.

    Before it comes one untimed call of each, which fills caches that last until training.
    """
    seconds: dict[str, list[float]] = {name: [] for name in competitors}
    for competitor in competitors.values():
        competitor.module.train(measure == "train")
        competitor.actions[measure]()
    names = list(competitors)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            start = time.process_time()
            competitors[name].actions[measure]()
            seconds[name].append(time.process_time() - start)
    return seconds


def _summary(competitors: Mapping[str, Competitor], times: Times) -> list[dict]:
    """One entry for each measure and competitor; ratios are over the fastest of `_references`."""
    return [
        {
            "measure": measure,
            "competitor": name,
            "version": version(name) if name in PEERS else None,
            "parameters": competitors[name].parameters,
            "median": median(seconds),
            "min": min(seconds),
            "median_ratio": _ratio(name, by_name, median),
            "min_ratio": _ratio(name, by_name, min),
            "seconds": seconds,
        }
        for measure, by_name in times.items()
        for name, seconds in by_name.items()
    ]


def _ratio(name: str, seconds: Mapping[str, list[float]], statistic: Callable[[list[float]], float]) -> float:
    return statistic(seconds[name]) / min(statistic(seconds[reference]) for reference in _references(list(seconds)))


def _references(names: Sequence[str]) -> list[str]:
    """The peers; without them the floor; without it whatever runs."""
    peers = [name for name in names if name in PEERS]
    return peers or [name for name in names if name == "floor"] or list(names)


def _table(results: Sequence[Mapping], measure: str) -> Table:
    references = _references([entry["competitor"] for entry in results])
    reference = "fastest peer" if references[0] in PEERS else references[0]
    table = Table()
    table.add_column(measure, no_wrap=True)
    for column in ("parameters", "median", "min", f"median over\n{reference}", f"min over\n{reference}"):
        table.add_column(column, justify="right")
    for entry in results:
        if entry["measure"] == measure:
            seconds = [f"{entry[statistic]:.4f}" for statistic in ("median", "min")]
            ratios = [f"{entry[ratio]:.2f}" for ratio in ("median_ratio", "min_ratio")]
            table.add_row(
                " ".join(filter(None, (entry["competitor"], entry["version"]))),
                f"{entry['parameters']:,}",
                *seconds,
                *ratios,
            )
    return table


if __name__ == "__main__":
    main()
