"""CPU seconds of a training step, `log_prob` and sampling of Residual Flow: genmodels and normflows.

    python experiments/benchmarks/residual_flow.py --rounds 10 [--cases plane images]

    plane    16 blocks of three hidden layers of 64 units and actnorm on 512 points of the plane
    images   3 scales of 2 blocks of width 64 and 4 fully connected blocks of 128 units on 16 images of 3x32x32

Both have LipSwish, Russian roulette by a Poisson law behind 2 terms, the Neumann gradient and backward in forward. All
run in one thread of this process in turns; the figure to compare is CPU seconds. Both train with torch's fused Adam.
genmodels lets spectral norms follow the weights until they settle, normflows by 5 iterations a step, as its users are
told to. In evaluation both take the exact determinant on the plane, and 20 terms and a random number more of images.
normflows calls noise-to-data forward; its `Residual` is turned round, so that `log_prob` is the fast
direction of both. In both the images are what the logit makes of pixels.
"""

import argparse
import json
import math
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from densities import density_competitor, ratio_table, share_of_products
from rich.console import Console
from step_time import MEASURES, in_turns
from torch import Tensor, nn

from genmodels.bijections import RussianRoulette
from genmodels.distributions import StandardNormal
from genmodels.models import ResidualFlow
from genmodels.models.flows.invertible_residual_flow import InvertibleResidualFlow

BATCHES = {"plane": (512, 2), "images": (16, 3, 32, 32)}


def genmodels(case: str) -> nn.Module:
    """Less the logit and the dequantisation of pixels."""
    log_det = RussianRoulette(exact_up_to=2)
    if case == "plane":
        return ResidualFlow((2,), None, num_blocks=16, width=64, num_hidden=3, log_det=log_det)
    images = ResidualFlow((3, 32, 32), 256, num_blocks=2, width=64, log_det=log_det)
    return InvertibleResidualFlow(images.bijection.bijections[1], (3, 32, 32), None)


class Flatten(nn.Module):
    """Between the last scale and the fully connected blocks, as normflows' flows are called."""

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z.view(-1, 48, 8, 8), z.new_zeros(len(z))

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.flatten(1), x.new_zeros(len(x))


class Normflows(nn.Module):
    """normflows' `Residual` and `ActNorm` in turn, with its squeezes between the scales."""

    def __init__(self, case: str) -> None:
        super().__init__()
        import normflows as nf

        self.update = nf.utils.update_lipschitz
        options = {"reduce_memory": True, "n_dist": "poisson", "n_exact_terms": 2}
        norm = {"lipschitz_const": 0.98, "max_lipschitz_iter": 5, "lipschitz_tolerance": None, "init_zeros": False}
        layers: list[nn.Module] = []
        if case == "plane":
            for _ in range(16):
                net = nf.nets.LipschitzMLP([2, 64, 64, 64, 2], **norm)
                layers += [nf.flows.Residual(net, **options), nf.flows.ActNorm(2)]
        else:
            for scale in range(3):
                layers += [nf.flows.Squeeze()] if scale else []
                channels = 3 * 4**scale
                for _ in range(2):
                    net = nf.nets.LipschitzCNN([channels, 64, 64, channels], [3, 1, 3], **norm)
                    layers += [nf.flows.Residual(net, **options), nf.flows.ActNorm((channels, 1, 1))]
            layers.append(Flatten())
            for _ in range(4):
                net = nf.nets.LipschitzMLP([3072, 128, 128, 3072], **norm)
                layers += [nf.flows.Residual(net, **options), nf.flows.ActNorm(3072)]
        self.layers = nn.ModuleList(layers)
        self.base = StandardNormal(BATCHES[case][1:])

    def log_prob(self, x: Tensor) -> Tensor:
        log_det = torch.zeros(len(x))
        for layer in self.layers:
            x, step = layer.inverse(x)
            log_det = log_det + step
        return log_det + self._log_base(x)

    def sample(self, n: int) -> Tensor:
        z = torch.randn(n, math.prod(self.base.shape))
        for layer in reversed(self.layers):
            z, _ = layer(z)
        return z

    def _log_base(self, z: Tensor) -> Tensor:
        return self.base.log_prob(z.reshape(len(z), *self.base.shape))


MAKERS: dict[str, Callable[[str], Any]] = {"genmodels": genmodels, "normflows": Normflows}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", nargs="+", choices=list(BATCHES), default=list(BATCHES))
    parser.add_argument("--models", nargs="+", choices=list(MAKERS), default=list(MAKERS))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path, help="file for every single time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    console, every = Console(), {}
    for case in options.cases:
        torch.manual_seed(0)
        x = torch.randn(*BATCHES[case])
        competitors = {}
        for name in options.models:
            try:
                flow = MAKERS[name](case)
                follow = partial(flow.update, flow, 5) if isinstance(flow, Normflows) else lambda: None
                competitors[name] = density_competitor(flow, x, after_step=follow)
            except ModuleNotFoundError as error:
                console.print(f"{name} is left out: {error} (the extra `benchmarks` installs it).", soft_wrap=True)
        every[case] = {measure: in_turns(competitors, measure, options.rounds) for measure in MEASURES}
        for measure, seconds in every[case].items():
            console.print(ratio_table(f"{case}, {measure}", seconds, competitors))
        for name, competitor in competitors.items():
            console.print(f"{case}, {name}, matrix products: {share_of_products(competitor)}", soft_wrap=True)
    if options.json:
        settings = {"rounds": options.rounds, "torch": version("torch")}
        options.json.write_text(json.dumps({**settings, "seconds": every}, indent=2) + "\n")


if __name__ == "__main__":
    main()
