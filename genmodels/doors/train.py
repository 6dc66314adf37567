"""Train a generative model."""

import sys
from typing import Any

from genmodels.cli import front_door
from genmodels.runs.sweep import conclude_sweep


@front_door("config", at_end=conclude_sweep)
def main(config: dict[str, Any]) -> float | None:
    if "torch" not in sys.modules:
        print(f"{config['name']}: loading torch and Lightning ...", flush=True)  # they take seconds
    from hydra.core.hydra_config import HydraConfig

    from genmodels.sweeps.seeds import train_seeds

    hydra = HydraConfig.get()
    return train_seeds(config, hydra.runtime.output_dir, list(hydra.overrides.task))
