"""What a step of training costs on many GPUs: counted work and bytes, and a model of the time they take.

    python experiments/benchmarks/scaling.py [--experiments glow_cifar10 pixelcnnpp_cifar10 sngan_cifar10] [--images 2]
    python experiments/benchmarks/scaling.py --check        # gloo on this CPU: is an all-reduce as long as modelled?

Counted at the papers' size, on a few images on the CPU: operations of convolutions, products and attention of a whole
step, forward and backward (`torch.utils.flop_counter`; an update of a GAN's generator with its updates of the critic),
and the bytes of the gradients, which data-parallel training exchanges. With N devices a step takes

    compute   operations of a batch / N / (peak x share of the peak)
    exchange  2 (N - 1) / N x bytes of gradients / bandwidth                (a ring: reduce-scatter and all-gather)
    step      compute + what of the exchange lies beyond the backward pass, two thirds of compute, that it runs beside

The share of the peak is not known without a GPU, so the table has columns for several. Everything else that takes time
(kernels that only move memory, starting them, loading data, validation) is in that share.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.multiprocessing
from rich.console import Console
from rich.table import Table
from torch import Tensor, distributed, nn
from torch.utils.flop_counter import FlopCounterMode

from genmodels.config.compose import compose
from genmodels.networks.data_init import initialize
from genmodels.runs.fit import build_parts
from genmodels.training import AdversarialModule, TrainingModule

SHARES = (0.05, 0.2, 0.4)
# Of data sheets, not measured: dense TF32 operations a second of an H100 SXM, and bytes a second of a ring in one
# direction, over NVLink in a machine and over one adapter of 400 Gbit/s a machine between them. (With an adapter for
# each GPU as many rings run side by side, and the network is nearly as fast as NVLink.)
PEAK, NVLINK, NETWORK = 495e12, 450e9, 50e9
DEVICES = (1, 8, 64)


@dataclass(frozen=True)
class Work:
    """Of a step of training on one image, and of the gradients' exchange in a step."""

    operations: float
    gradient_bytes: float
    batch: int

    def seconds(self, devices: int, share: float) -> float:
        compute = self.operations * self.batch / devices / (PEAK * share)
        bandwidth = NVLINK if devices <= 8 else NETWORK
        exchange = 2 * (devices - 1) / devices * self.gradient_bytes / bandwidth
        return compute + max(0.0, exchange - compute * 2 / 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = ["glow_cifar10", "pixelcnnpp_cifar10", "sngan_cifar10"]
    parser.add_argument("--experiments", nargs="+", default=names)
    parser.add_argument("--images", type=int, default=2, help="to count the work on")
    parser.add_argument("--check", action="store_true", help="time an all-reduce between two processes of this machine")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.check:
        _check_exchange()
        return
    counted = {name: count(name, options.images) for name in options.experiments}
    table = Table("experiment", "batch", "GFLOP an image", "gradients, MB", "MB sent a step\nby 1 of 8")
    for name, work in counted.items():
        sent = 2 * 7 / 8 * work.gradient_bytes
        row = (work.operations / 1e9, work.gradient_bytes / 1e6, sent / 1e6)
        table.add_row(name, str(work.batch), *(f"{value:,.1f}" for value in row))
    Console(width=120).print(table)
    table = Table("experiment", "share of peak", *(f"images/s, {n} GPUs" for n in DEVICES), "efficiency of 8", "of 64")
    for name, work in counted.items():
        for share in SHARES:
            rates = [work.batch / work.seconds(devices, share) for devices in DEVICES]
            efficiency = (rate / rates[0] / devices for rate, devices in zip(rates[1:], DEVICES[1:], strict=True))
            shown = (f"{rate:,.0f}" for rate in rates)
            table.add_row(name, f"{share:.0%}", *shown, *(f"{value:.0%}" for value in efficiency))
    Console(width=120).print(table)


def count(experiment: str, images: int) -> Work:
    """The work of one step of an experiment, as composed, on random images."""
    config = compose([f"experiment={experiment}"])
    module = build_parts(config).module
    shape, levels = module.model.shape, module.model.levels or 256
    x = torch.randint(levels, (images, *shape), dtype=torch.uint8)
    y = torch.zeros(images, dtype=torch.long)
    initialize(module.model, lambda: module.evaluate_batch(x, y))
    module.train()
    exchanged = 0
    with FlopCounterMode(display=False) as counter:
        for part, loss in losses(module, x, y):
            loss().backward()
            exchanged += sum(p.numel() * p.element_size() for p in part.parameters() if p.requires_grad)
    return Work(counter.get_total_flops() / images, exchanged, config["data"]["batch_size"])


def losses(module: TrainingModule, x: Tensor, y: Tensor) -> Iterator[tuple[nn.Module, Callable[[], Tensor]]]:
    """Every loss of one step of training with the part that it updates."""
    if not isinstance(module, AdversarialModule):
        yield module.model, lambda: module.objective(module.model, x, y)[0]  # type: ignore[operator]
        return
    model: Any = module.model
    for _ in range(module.objective.critic_steps):
        yield model.discriminator, lambda: module._critic_loss(x, y, 0)
    model.discriminator.requires_grad_(False)
    yield model.generator, lambda: module._generator_loss(len(x), y)


def _check_exchange() -> None:
    """Seconds of all-reduces of growing size between two gloo processes: the model has time in proportion to size."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_exchange, args=(f"file://{folder}/address",), nprocs=2)


def _exchange(rank: int, address: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    seconds = {}
    for megabytes in (1, 8, 64, 178):
        gradients = torch.ones(megabytes * 250_000)
        times = []
        for _ in range(5):
            distributed.barrier()
            start = time.perf_counter()
            distributed.all_reduce(gradients)
            times.append(time.perf_counter() - start)
        seconds[megabytes] = min(times)
    if rank == 0:
        table = Table("MB of gradients", "seconds, least of 5", "GB/s", "of the largest's")
        rates = {megabytes: megabytes / 1e3 / taken for megabytes, taken in seconds.items()}
        for megabytes, taken in seconds.items():
            share = rates[megabytes] / rates[max(rates)]
            table.add_row(str(megabytes), f"{taken:.4f}", f"{rates[megabytes]:.2f}", f"{share:.2f}")
        Console().print(table)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
