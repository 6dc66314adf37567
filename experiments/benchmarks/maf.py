"""CPU seconds of a training step, `log_prob` and sampling of MAF: genmodels, nflows, normflows and zuko.

    python experiments/benchmarks/maf.py --rounds 10

Five MADEs of two hidden layers of 512 units on vectors of 43 dimensions (MINIBOONE), batch 100; genmodels' has the
batch norm of its config behind each, which "genmodels_no_batch_norm" and the peers lack. All run in one thread of this
process in turns; the figure to compare is CPU seconds. Every flow trains with torch's fused Adam, genmodels' default.
normflows calls noise-to-data forward, so that its MAF as documented scores in D passes and is an IAF; "normflows" here
is its layers turned round, "normflows_documented" the other. Ratios are over the fastest peer, that one left out.
"""

import argparse
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from densities import density_competitor, ratio_table
from rich.console import Console
from step_time import MEASURES, in_turns
from torch import Tensor, nn

from genmodels.models import MAF

FEATURES, LAYERS, WIDTH = 43, 5, 512


class Peer(nn.Module):
    """A flow of another library behind `log_prob` and `sample`."""

    def __init__(self, flow: nn.Module, log_prob: Callable[[Tensor], Tensor], sample: Callable[[int], Any]) -> None:
        super().__init__()
        self.flow, self.log_prob, self.sample = flow, log_prob, sample


def nflows() -> Peer:
    """`MaskedAffineAutoregressiveTransform`, feed-forward blocks, reversed in between."""
    from nflows import transforms as t
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow

    layers = []
    for _ in range(LAYERS):
        made = {"num_blocks": 1, "use_residual_blocks": False}
        layers += [
            t.MaskedAffineAutoregressiveTransform(FEATURES, WIDTH, **made),
            t.ReversePermutation(FEATURES),
        ]
    flow = Flow(t.CompositeTransform(layers), StandardNormal([FEATURES]))
    return Peer(flow, flow.log_prob, flow.sample)


def normflows(documented: bool = False) -> Peer:
    """`MaskedAffineAutoregressive`, feed-forward blocks, reversed in between."""
    import normflows as nf

    layers = []
    for _ in range(LAYERS):
        made = {"num_blocks": 1, "use_residual_blocks": False}
        layers += [nf.flows.MaskedAffineAutoregressive(FEATURES, WIDTH, **made), nf.flows.Permute(FEATURES, "swap")]
    base = nf.distributions.DiagGaussian(FEATURES, trainable=False)
    flow = nf.NormalizingFlow(base, layers)
    if documented:
        return Peer(flow, flow.log_prob, flow.sample)

    def log_prob(x: Tensor) -> Tensor:
        log_det = torch.zeros(len(x))
        for layer in layers:
            x, step = layer(x)
            log_det = log_det + step
        return log_det + base.log_prob(x)

    def sample(n: int) -> Tensor:
        x = base.sample(n)
        for layer in reversed(layers):
            x, _ = layer.inverse(x)
        return x

    return Peer(flow, log_prob, sample)


def zuko() -> Peer:
    """`MAF` with two hidden layers, orders reversed in turn."""
    import zuko

    flow = zuko.flows.MAF(FEATURES, transforms=LAYERS, hidden_features=[WIDTH, WIDTH])
    return Peer(flow, lambda x: flow().log_prob(x), lambda n: flow().sample((n,)))


MAKERS: dict[str, Callable[[], Any]] = {
    "genmodels": lambda: MAF((FEATURES,), None, LAYERS, num_hidden=2, width=WIDTH),
    "genmodels_no_batch_norm": lambda: MAF((FEATURES,), None, LAYERS, num_hidden=2, width=WIDTH, batch_norm=False),
    "nflows": nflows,
    "normflows": normflows,
    "normflows_documented": lambda: normflows(documented=True),
    "zuko": zuko,
}

DOCUMENTED = ("normflows_documented",)  # another model: an IAF, which samples in one pass


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="+", choices=list(MAKERS), default=list(MAKERS))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--json", type=Path, help="file for every single time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(options.batch, FEATURES)
    console = Console()
    competitors = {}
    for name in options.models:
        try:
            competitors[name] = density_competitor(MAKERS[name](), x)
        except ModuleNotFoundError as error:
            console.print(f"{name} is left out: {error} (the extra `benchmarks` installs it).", soft_wrap=True)
    times = {measure: in_turns(competitors, measure, options.rounds) for measure in MEASURES}
    for measure, seconds in times.items():
        console.print(ratio_table(measure, seconds, competitors, DOCUMENTED))
    if options.json:
        settings = {"batch": options.batch, "rounds": options.rounds, "torch": version("torch")}
        options.json.write_text(json.dumps({**settings, "seconds": times}, indent=2) + "\n")


if __name__ == "__main__":
    main()
