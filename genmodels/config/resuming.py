"""The config of a run that is taken up again: its own, with those keys changed that cannot alter what was learned."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from genmodels.config.compose import group_names, to_plain
from genmodels.errors import UserError

CHANGEABLE = (
    "trainer.",
    "scheduler.",
    "logger.",
    "callbacks.",
    "evaluation.",
    "model.reversible",
    "model.dequantization.reversible",
    "compile",
    "data_dir",
    "data.root",
    "data.download",
    "data.device_resident",
    "data.num_workers",
)


def resumed_config(saved: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The saved config with the command line's overrides.

    Args:
        saved: the run's config.yaml.
        overrides: as typed, `resume=...` and `plugins=...` among them, which are not the run's.

    Raises:
        UserError: an override would make another model, data set or optimiser of it.
    """
    config = OmegaConf.create(saved)
    groups = group_names()
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        if key in ("resume", "output_dir", "plugins") or key.startswith("hydra"):
            continue
        if key in groups:
            raise UserError(f"resume= goes on with the {key} of the run: leave {override.input_line} out")
        if not key.startswith(CHANGEABLE):
            raise UserError(
                f"{override.input_line} cannot change while a run goes on: resume= takes "
                f"{', '.join(name + '*' if name.endswith('.') else name for name in CHANGEABLE)}"
            )
        OmegaConf.update(config, key, override.value(), force_add=True)
    return to_plain(config)


def same_run(saved: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether a run saved with one config may go on with the other: they differ in changeable keys alone.

    Sizes that the config leaves to the model are in the saved one as the model has chosen them.
    """
    left = {name for name, value in _kept(config) if name.startswith("model.") and value is None}
    first, second = ({n: v for n, v in _kept(one) if n not in left} for one in (saved, config))
    return first == second


def _kept(config: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        name = f"{path}{key}"
        if name in ("resume", "output_dir", "plugins", "seeds") or f"{name}.".startswith(CHANGEABLE):
            continue
        if isinstance(value, Mapping):
            yield from _kept(value, f"{name}.")
        else:
            yield name, value
