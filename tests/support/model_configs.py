"""The configs of conf/model against those of conf/data, composed once each."""

import functools
from typing import Any

from omegaconf import OmegaConf

from genmodels.config.compose import CONFIG_DIR, compose_unresolved

MODELS = sorted(file.stem for file in (CONFIG_DIR / "model").glob("*.yaml"))
DATA = sorted(file.stem for file in (CONFIG_DIR / "data").glob("*.yaml"))


@functools.cache
def _composed(group: str, override: str) -> Any:
    return OmegaConf.to_container(compose_unresolved(override.split(), "config")[group])


def data_node(override: str) -> dict[str, Any]:
    """What `data=<override>` composes, e.g. "image_folder data.size=48"."""
    node = OmegaConf.create({"data": _composed("data", f"data={override}"), "data_dir": "data", "seed": 0})
    return OmegaConf.to_container(node, resolve=True)["data"]  # type: ignore[index, call-overload]


def model_node(name: str, data: dict[str, Any]) -> dict[str, Any]:
    """What `model=<name>` composes on that data, interpolations resolved."""
    node = OmegaConf.create({"model": _composed("model", f"model={name}"), "data": data})
    return OmegaConf.to_container(node, resolve=True)["model"]  # type: ignore[index, call-overload]
