"""What makes each documented command take seconds, and which are not run at all, for what reason."""

import re
from collections.abc import Sequence

from documented import Command

NOT_RUN = {  # by how the command begins
    r"python -m pytest ": "a test, which runs with the others",
    r"make (quickstart|test|test-all|check|docs|install)$": "makes an environment of its own from the network first",
    r"python experiments/conditional_generation\.py": "needs runs with classes; its test trains some",
    r"pip install ": "changes the environment that the tests run in",
    r"docker build ": "needs Docker and the network",
    r"wandb ": "needs an account and Weights & Biases' server",
    r"torchrun .*trainer=ddp ": "needs eight GPUs; two processes on a CPU: tests/training/test_distributed.py",
    r"python train\.py .*trainer=ddp trainer\.devices=8": "needs eight GPUs, as the line above",
    r"python train\.py .*launcher=submitit_slurm": "needs SLURM; two nodes on one machine: tests/runs/test_slurm.py",
    r"genmodels-\w+ .*plugins=\[my_package\]": "run by tests/test_readme.py, after the page's own files",
}

TRAIN = (
    *("trainer.max_steps=2", "trainer.limit_val_batches=1", "evaluation.max_images=10", "evaluation.num_samples=20"),
    *("callbacks.samples.n=4", "trainer=cpu", "logger=none"),
)
COPIED = ("data.batch_size=4", "data.download=false")  # where the data set is a small copy
SMALLER = {  # by a part of the command: what would take minutes all the same, or more than a small copy has
    r"experiment=cyclegan_mnist": ("data.validation=15", "data.batch_size=15"),
    r"(model|experiment)=glow( |_cifar10|$)": ("model.num_steps=2", "model.width=16"),
    r"gallery\.py$": ("models=[gmm]", "sets=[moons]"),
    r"table=all_families ": ("rows=[nice]",),
    r"table=flowpp_table1 ": ("rows=[realnvp]", "columns=[cifar10]"),
    r"table=elbo_surgery ": ("rows=[2_latents]", "budget=smoke"),
}
REAL_DATA = (
    r"table=(flowpp_table1|elbo_surgery) "  # read by processes that know nothing of the checksums of small copies
)
RESUME = ("trainer.max_steps=3",)
SEARCH = ("n_trials=2",)
DOORS = {
    "evaluate": ("max_images=10", "num_samples=20", "importance_samples=2", "annealing_steps=2", "device=cpu"),
    "sample": ("n=8", "device=cpu"),
}
SCRIPTS: dict[str, Sequence[str]] = {
    "autoregressive_sampling": ("--rounds", "1"),
    "elbo_surgery": (*TRAIN, *COPIED, "data.validation=8"),
    "dequantisation": ("20",),
    "estimator_variance": ("2",),
    "flow_matching": ("0.5", "0.5"),
    "gallery": ("steps=2", "out=gallery"),
    "gan_stability": ("trainer.max_steps=2", "--data", "ring", "--seeds", "0"),
    "iaf_figure": ("20",),
    "irevnet_classifier": ("digits", "data", "1"),
    "jsd_wasserstein": ("5",),
    "linear_flows": ("20",),
    "optimal_discriminator": ("20",),
    "priors_figure": ("20",),
    "report": (),
    "reproduce": ("output_dir=outputs", "results=results"),
    "reversible_memory": ("2",),
    "scaling": ("--experiments", "dcgan_cifar10", "--images", "1"),
    "switches": ("--models", "vae_small", "--rounds", "1"),
}


def smaller(text: str) -> list[str]:
    """Overrides for a command that would be long even for a few steps."""
    return [override for part, more in SMALLER.items() if re.search(part, text) for override in more]


def reason(command: Command, *starts: str) -> str | None:
    """Why a command is not run; None where it is. `starts` are those of `NOT_RUN` to look at, all unless given."""
    return next((NOT_RUN[start] for start in starts or NOT_RUN if re.match(start, command.text)), None)
