"""A config-driven experiment framework for deep generative models.

In a notebook or a program:

    run = genmodels.train(["model=nice_small", "trainer.max_steps=100"])
    run.model.sample(16)
    genmodels.load_run("outputs/nice_small-digits/<date_time>")
    genmodels.load("<exported folder>").sample(16)
    genmodels.compose(["model=glow", "data=cifar10"])     # the configuration alone
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from genmodels._torchvision import DeclareOperatorsFirst

if TYPE_CHECKING:
    from genmodels.notebook import compose, train
    from genmodels.runs.finished_run import load, load_run

__all__ = ["compose", "load", "load_run", "train"]

# pytorch_lightning and torchvision itself fail without.
sys.meta_path.insert(0, DeclareOperatorsFirst())


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Only now: one needs Hydra, the other all of torch.
    home = "genmodels.runs.finished_run" if name in ("load", "load_run") else "genmodels.notebook"
    return getattr(importlib.import_module(home), name)
