"""What the benchmarks of flows share: a density as a competitor, and a table of what they took."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from types import MappingProxyType
from typing import Any

import torch
from rich.table import Table
from step_time import Competitor
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "mkldnn_convolution", "convolution_backward", "_slow_conv2d_forward")


def density_competitor(
    flow: Any, x: Tensor, lr: float = 1e-4, after_step: Callable[[], object] = lambda: None
) -> Competitor:
    """A training step by maximum likelihood with fused Adam, `log_prob` of x and as many samples.

    Args:
        flow: a module with `log_prob` and `sample`.
        after_step: what its users are told to call after each step.
    Raises:
        SystemExit: its log-probabilities are not finite.
    """
    trained = [parameter for parameter in flow.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=lr, fused=True)

    def train() -> None:
        optimizer.zero_grad()
        (-flow.log_prob(x).mean()).backward()
        optimizer.step()
        after_step()

    @torch.no_grad()
    def log_prob() -> Tensor:
        return flow.log_prob(x)

    @torch.no_grad()
    def sample() -> Any:
        return flow.sample(len(x))

    if not log_prob().isfinite().all():
        raise SystemExit(f"{type(flow).__name__} gives log-probabilities that are not finite.")
    return Competitor(flow, {"train": train, "log_prob": log_prob, "sample": sample})


def ratio_table(
    title: str,
    seconds: Mapping[str, list[float]],
    competitors: Mapping[str, Competitor],
    left_out: Sequence[str] = (),
    notes: Mapping[str, Callable[[Any], str]] = MappingProxyType({}),
) -> Table:
    """Medians and minima, and their ratios over the fastest that is neither ours nor `left_out`.

    Args:
        notes: further columns by title, functions of a competitor's module.
    """
    table = Table()
    for column in (title, "parameters", *notes, "median", "min", "ratio", "min ratio"):
        table.add_column(column, justify="right", no_wrap=True)
    others = [name for name in seconds if not name.startswith("genmodels") and name not in left_out]
    peers = [seconds[name] for name in others] or list(seconds.values())
    for name, times in seconds.items():
        competitor = competitors[name]
        figures = [statistic(times) for statistic in (median, min)]
        best = [min(statistic(peer) for peer in peers) for statistic in (median, min)]
        ratios = [f"{figure / reference:.2f}" for figure, reference in zip(figures, best, strict=True)]
        said = [note(competitor.module) for note in notes.values()]
        numbers = [f"{figure:.4f}" for figure in figures]
        table.add_row(name, f"{competitor.parameters:,}", *said, *numbers, *ratios)
    return table


def share_of_products(competitor: Competitor) -> str:
    """What matrix products and convolutions take of each call, forward and backward, in words.

    Of the time that torch's profiler sees within operations, to whose small ones it adds most: so it says too little.
    """
    said = []
    for measure, run in competitor.actions.items():
        with profile(activities=[ProfilerActivity.CPU]) as recorded:
            run()
        times = {event.key: event.self_cpu_time_total for event in recorded.key_averages()}
        products = sum(times.get(f"aten::{name}", 0.0) for name in PRODUCTS)
        said.append(f"{measure} {products / sum(times.values()):.2f}")
    return ", ".join(said)
