"""Train a generative model: `python train.py model=glow data=cifar10`, `python train.py --help`."""

from typing import Any

try:
    from genmodels.cli import front_door
except KeyboardInterrupt:  # torch takes its time to load
    raise SystemExit(130) from None


@front_door("config")
def main(config: dict[str, Any]) -> float | None:
    from hydra.core.hydra_config import HydraConfig

    from genmodels.experiment import train

    hydra = HydraConfig.get()
    return train(config, hydra.runtime.output_dir, list(hydra.overrides.task))


if __name__ == "__main__":
    main()
