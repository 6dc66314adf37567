"""CPU seconds of a training iteration of GANs, against their bare convolutions and matrix products.

    python experiments/benchmarks/gan_step.py [--models SN-GAN WGAN-GP] [--critic-steps 1 5] [--rounds 5]

An iteration is one step of training by `AdversarialModule`'s losses: so many updates of the critic, each on 16 images
and 16 samples and, for WGAN-GP, the gradient penalty between them, then one of the generator with 32 samples, all with
torch's fused Adam. Both networks have the papers' size for 3x32x32.

`floor` is every convolution and matrix product of such an iteration, replayed alone (`products.py`): samples for the
critic forward only, the penalty forward, back to the images, and through both again. `published` is the same with the
convolutions as the papers write them, beside the doubling or halving of the image that ours have in their kernels. One
thread; all take turns, so that a busy machine slows all of them.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from products import BareProducts
from rich.console import Console
from rich.table import Table
from step_time import Competitor, in_turns
from torch import Tensor, nn

from genmodels.models import SNGAN, WGANGPResNet
from genmodels.models.gans.adversarial_model import AdversarialModel
from genmodels.networks.resampling_conv import DownConv2d, UpConv2d
from genmodels.objectives import Adversarial, GradientPenalty, Hinge, Wasserstein
from genmodels.training import AdversarialModule

SHAPE, LEVELS, BATCH, GENERATOR_BATCH = (3, 32, 32), 256, 16, 2

MODELS: dict[str, tuple[Callable[[], AdversarialModel], Callable[[], Adversarial]]] = {
    "SN-GAN": (lambda: SNGAN(SHAPE, LEVELS), lambda: Hinge(generator_batch=GENERATOR_BATCH)),
    "WGAN-GP": (
        lambda: WGANGPResNet(SHAPE, LEVELS),
        lambda: Wasserstein(generator_batch=GENERATOR_BATCH, penalty=GradientPenalty()),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--critic-steps", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for every single time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    seconds = {}
    columns = (f"{which}\n{statistic}" for which in ("step", "floor", "published") for statistic in ("median", "min"))
    table = Table("model", "updates of\nthe critic", *columns, "step over floor\nmedian", "min")
    for name in options.models:
        make, game = MODELS[name]
        model, objective = make().train(), game()
        for critic_steps in options.critic_steps:
            competitors = {
                "step": _step(model, objective, critic_steps),
                "floor": _floor(model, objective, critic_steps),
            }
            with as_published():
                competitors["published"] = _floor(model, objective, critic_steps)
            times = in_turns(competitors, "train", options.rounds)
            seconds[f"{name}, {critic_steps}"] = times
            shown = [f"{statistic(s):.3f}" for s in times.values() for statistic in (median, min)]
            ratios = [f"{statistic(times['step']) / statistic(times['floor']):.3f}" for statistic in (median, min)]
            table.add_row(name, str(critic_steps), *shown, *ratios)
    Console(width=130).print(table)
    if options.json:
        settings = {"batch": BATCH, "rounds": options.rounds, "torch": version("torch")}
        options.json.write_text(json.dumps({**settings, "seconds": seconds}, indent=2) + "\n")


def _step(model: AdversarialModel, objective: Adversarial, critic_steps: int) -> Competitor:
    adam = partial(torch.optim.Adam, lr=1e-4, betas=(0.0, 0.9), fused=True)
    module = AdversarialModule(model, objective, adam)
    of_generator, of_critic = adam(model.generator.parameters()), adam(model.discriminator.parameters())
    x = torch.randint(LEVELS, (BATCH, *SHAPE), dtype=torch.uint8)

    def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    def iterate() -> None:
        for _ in range(critic_steps):
            update(of_critic, module._critic_loss(x, None, 0))
        model.discriminator.requires_grad_(False)
        update(of_generator, module._generator_loss(len(x), None))
        module._real_scores.clear()
        model.discriminator.requires_grad_(True)

    return Competitor(model, {"train": iterate})


def _floor(model: AdversarialModel, objective: Adversarial, critic_steps: int) -> Competitor:
    images = torch.randn(2 * BATCH, *SHAPE)
    critic = model.discriminator
    samples = BareProducts(lambda: model.generator(model.latents(BATCH)))
    scores = BareProducts(lambda: critic(images))
    slopes = BareProducts(lambda: critic(images[:BATCH].clone().requires_grad_()))
    critic.requires_grad_(False)
    generated = BareProducts(lambda: critic(model.generator(model.latents(GENERATOR_BATCH * BATCH))))
    critic.requires_grad_(True)

    def iterate() -> None:
        for _ in range(critic_steps):
            with torch.no_grad():
                samples()
            scores.forward_and_backward()
            if objective.penalty is not None:
                slopes.twice_backward()
        generated.forward_and_backward()

    return Competitor(model, {"train": iterate})


@contextmanager
def as_published() -> Iterator[None]:
    """Within it, networks double images before their convolutions and halve them after."""
    ours = UpConv2d.forward, DownConv2d.forward

    def up(layer: nn.Conv2d, x: Tensor) -> Tensor:
        return nn.Conv2d.forward(layer, F.interpolate(x, scale_factor=2.0, mode="nearest"))

    def down(layer: nn.Conv2d, x: Tensor) -> Tensor:
        return F.avg_pool2d(nn.Conv2d.forward(layer, x), 2)

    try:
        UpConv2d.forward, DownConv2d.forward = up, down  # type: ignore[method-assign, assignment]
        yield
    finally:
        UpConv2d.forward, DownConv2d.forward = ours  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
