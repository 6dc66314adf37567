"""The config of a run that is taken up again: its own, with those keys changed that cannot alter what was learned."""

from collections.abc import Sequence
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
