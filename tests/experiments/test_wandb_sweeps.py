"""The searches for wandb's agents: what they would type is a configuration."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import ROOT

from genmodels.config.checks import check
from genmodels.config.compose import compose

FILES = sorted((ROOT / "experiments" / "sweeps").glob("*.yaml"))


def _ends(parameter: dict[str, Any]) -> tuple[Any, Any]:
    values = parameter.get("values") or (parameter["min"], parameter["max"])
    return values[0], values[-1]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_its_commands_are_runs(file: Path) -> None:
    sweep = yaml.safe_load(file.read_text())
    assert (ROOT / sweep["program"]).is_file()
    assert sweep["metric"] == {"name": "val/bits_per_dim", "goal": "minimize"}
    fixed = [part for part in sweep["command"] if not part.startswith("${")]
    assert sweep["command"][-1] == "${args_no_hyphens}"
    for end in (0, 1):
        check(compose([*fixed, *(f"{key}={_ends(p)[end]}" for key, p in sweep["parameters"].items())]))
