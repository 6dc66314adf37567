"""One place that keeps Lightning's notes to itself where they do not help the user of a run."""

import logging
import warnings

_UNHELPFUL = (
    r".*does not have many workers.*",  # batches come from memory
    r".*smaller than the logging interval.*",
    r".*your dataloader is not resumable.*",  # `Resume` seeks it
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",
    r".*Checkpoint directory .* exists and is not empty.*",
    r".*sync_dist=True.*",
    r"The `srun` command is available.*",  # nobody asked for SLURM
    r"(?s)FSDP2-wrapped module .* returned a view tensor.*",  # nothing here changes a layer's output in place
    r"Grad strides do not match bucket view strides.*",  # 1x1 convolutions; costs nothing one could measure
)


def quieten() -> None:
    """Silence Lightning's tips, device lists and warnings that do not apply here; other warnings stay."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in _UNHELPFUL:
        warnings.filterwarnings("ignore", message=message)
