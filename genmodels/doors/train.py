"""Train a generative model."""

from typing import Any

from genmodels.cli import front_door


@front_door("config")
def main(config: dict[str, Any]) -> float | None:
    print(f"{config['name']}: loading torch and Lightning ...", flush=True)  # they take seconds
    from hydra.core.hydra_config import HydraConfig

    from genmodels.experiment import train

    hydra = HydraConfig.get()
    return train(config, hydra.runtime.output_dir, list(hydra.overrides.task))
