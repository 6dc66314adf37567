"""Where the configuration lives, and composing it without a command line."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, flag_override


def _config_dir() -> Path:
    """In the installed package, or beside it in a clone."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "conf"
    return shipped if shipped.is_dir() else package.parent / "conf"


CONFIG_DIR = _config_dir()


def picture_shape(channels: Any, size: Any) -> list[Any]:
    """(C, H, W) of pictures of one size, a number for squares or [height, width]; the resolver `picture_shape`."""
    return [channels, *(size if isinstance(size, Sequence) and not isinstance(size, str) else (size, size))]


OmegaConf.register_new_resolver("picture_shape", picture_shape, replace=True)


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
    config = _composed(overrides, config_name)
    hydra = HydraConfig.instance()
    before = hydra.cfg
    hydra.set_config(config)  # ${hydra:runtime.choices...} asks for it
    try:
        return to_plain(_without_hydra(config))
    finally:
        hydra.cfg = before


def choices_of(overrides: Sequence[str] = ()) -> dict[str, str]:
    """The option of every group that `python train.py <overrides>` would run with, by the group's name."""
    chosen = _composed(overrides, "config").hydra.runtime.choices
    return {str(group): str(option) for group, option in chosen.items()}


def compose_unresolved(overrides: Sequence[str], config_name: str) -> DictConfig:
    """The same with interpolations and missing values still in it."""
    return _without_hydra(_composed(overrides, config_name))


def _composed(overrides: Sequence[str], config_name: str) -> DictConfig:
    running = GlobalHydra.instance().hydra  # of the front door that asks, if it is one
    GlobalHydra.instance().hydra = None
    try:
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            return hydra_compose(config_name, overrides=list(overrides), return_hydra_config=True)
    finally:
        GlobalHydra.instance().hydra = running


def _without_hydra(config: DictConfig) -> DictConfig:
    rest = copy.copy(config)
    with flag_override(rest, ["struct", "readonly"], False):
        del rest["hydra"]
    return rest
