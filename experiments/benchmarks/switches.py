"""What the switches for speed give on this machine: a training step with each, over the same step without.

    python experiments/benchmarks/switches.py [--models glow_small vae_small] [--rounds 10] [--compile]

One small model of each family on 16 images of CIFAR-10's shape (noise: the time of a step does not depend on what they
show). A step is all losses of a step of training with their backward passes and fused Adam; for GANs the updates of the
critic and the generator's. The variants of a model take turns, so that a busy machine slows all of them.

    bf16            trainer.precision=bf16-mixed: networks in bfloat16, densities in float32
    channels_last   convolutions' weights with the channels innermost in memory; not a switch of training so far
    compiled        compile=true, with --compile: the first step waits for the compiler, minutes for some

`data.device_resident=true` saves the copy of a batch to the device, of which there is none on a CPU: on a GPU compare the
images/s of two runs.
"""

import argparse
import copy
from collections.abc import Callable
from contextlib import nullcontext
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from scaling import losses
from step_time import Competitor, in_turns

from genmodels.config.compose import compose
from genmodels.networks.data_init import initialize
from genmodels.runs.fit import build_parts
from genmodels.training import TrainingModule
from genmodels.training.compiling import compile_errors, compile_parts

MODELS = ("glow_small", "pixelcnnpp_small", "vae_small", "dcgan_small", "residual_flow_small", "ffjord_small")
BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--compile", action="store_true", help="also compile=true, after minutes of compilation")
    options = parser.parse_args()
    torch.set_num_threads(1)
    variants = ["float32", "bf16", "channels_last", *(["compiled"] if options.compile else [])]
    table = Table("model", "float32, s", *(f"{name}\n{which}" for name in variants[1:] for which in ("median", "min")))
    for name in options.models:
        torch.manual_seed(0)
        module = build_parts(compose([f"model={name}", "data=cifar10"])).module
        competitors = {variant: _step(module, variant) for variant in variants if _applies(module, variant)}
        times = in_turns(competitors, "train", options.rounds)
        base = times["float32"]
        ratios = (
            f"{which(times[variant]) / which(base):.2f}" if variant in times else "refused"
            for variant in variants[1:]
            for which in (median, min)
        )
        table.add_row(name, f"{median(base):.3f}", *ratios)
    Console(width=110).print(table)


def _applies(module: TrainingModule, variant: str) -> bool:
    return variant != "compiled" or not list(compile_errors(module.model))


def _step(module: TrainingModule, variant: str) -> Competitor:
    """A step of a copy of the module."""
    module = copy.deepcopy(module).train()
    x = torch.randint(module.model.levels or 256, (BATCH, *module.model.shape), dtype=torch.uint8)
    y = torch.zeros(BATCH, dtype=torch.long)
    initialize(module.model, lambda: module.evaluate_batch(x, y))
    if variant == "channels_last":
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if variant == "compiled":
        compile_parts(module.model)
    parts = list(module.trained_parts().values())
    optimizers = {part: torch.optim.Adam(part.parameters(), lr=1e-5, fused=True) for part in parts}
    autocast: Callable = nullcontext
    if variant == "bf16":
        autocast = lambda: torch.autocast("cpu", torch.bfloat16)  # noqa: E731

    def train() -> None:
        for part, loss in losses(module, x, y):
            with autocast():
                value = loss()
            value.backward()
            optimizers[part].step()
            optimizers[part].zero_grad()
        module.model.requires_grad_(True)

    return Competitor(module, {"train": train})


if __name__ == "__main__":
    main()
