"""What does not go with weights that are shared out among the processes."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.distributed.fsdp import FSDPModule

from genmodels.models.capabilities import offered
from genmodels.models.contract import SetStatistics
from genmodels.training.modules.training_module import TrainingModule


def sharding_errors(config: Mapping[str, Any], module: TrainingModule) -> Iterator[str]:
    """A sentence for whatever does not go with weights that are shared out among the processes."""
    if config["trainer"].get("strategy") != "fsdp":
        return
    if not module.automatic_optimization:
        yield (
            f"trainer.strategy=fsdp is for models of one loss, and {type(module.objective).__name__} has several "
            "optimisers take turns: choose trainer=ddp"
        )
    if config["compile"]:
        yield "compile=true does not go with trainer.strategy=fsdp: leave it out, or choose trainer=ddp"
    if _asks_to_recompute(config["model"]):
        yield (
            "model.reversible=true recomputes layers from their weights, which trainer.strategy=fsdp takes away "
            "between: leave one of the two out"
        )
    model = module.model
    statistics = offered(model, SetStatistics)
    if statistics is not None and statistics.needs_statistics:
        yield (
            f"{type(model).__name__} normalises by statistics of the whole set, which trainer.strategy=fsdp does not "
            "take: choose trainer=ddp"
        )
    if not hasattr(FSDPModule, "reset_iter_state"):
        yield f"trainer.strategy=fsdp needs torch 2.13 or newer, and this is {torch.__version__}: choose trainer=ddp"


def _asks_to_recompute(node: Any) -> bool:
    if not isinstance(node, Mapping):
        return False
    return node.get("reversible") is True or any(map(_asks_to_recompute, node.values()))
