"""Where the configuration lives, and composing it without a command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, flag_override

CONFIG_DIR = Path(__file__).resolve().parents[2] / "conf"


def group_names() -> set[str]:
    """The config groups: "model", "data", "objective/penalty", ..."""
    return {folder.relative_to(CONFIG_DIR).as_posix() for folder in CONFIG_DIR.rglob("*") if folder.is_dir()}


def to_plain(config: DictConfig) -> dict[str, Any]:
    """Plain containers with every interpolation resolved.

    Objects are built from these only: a DictConfig among hyper-parameters breaks checkpoint loading, a ListConfig
    breaks optimisers.

    Raises:
        omegaconf.errors.OmegaConfBaseException: a mandatory value is missing or an interpolation leads nowhere.
    """
    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def compose(overrides: Sequence[str] = (), config_name: str = "config") -> dict[str, Any]:
    """The plain config that `python train.py <overrides>` would run with, the run folder left aside."""
    return to_plain(compose_unresolved(overrides, config_name))


def compose_unresolved(overrides: Sequence[str], config_name: str) -> DictConfig:
    """The same with interpolations and missing values still in it."""
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        config = hydra_compose(config_name, overrides=list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(config)  # ${hydra:runtime.choices...} asks for it
    with flag_override(config, ["struct", "readonly"], False):
        del config["hydra"]
    return config
