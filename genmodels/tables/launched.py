"""A cell of a table as a job of Hydra's: `python -m genmodels.tables.launched -m hydra/launcher=joblib cell=a,b,c`."""

from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from genmodels.tables.running import run_cell

_CONFIG: dict[str, Any] = {
    "defaults": ["_self_", {"override hydra/job_logging": "none"}, {"override hydra/hydra_logging": "none"}],
    "cell": "???",  # folder of a cell
    "location": [],  # overrides that say where data lies
    "hydra": {"output_subdir": None, "sweep": {"subdir": "."}, "job": {"chdir": False}},
}
ConfigStore.instance().store("table_cell", _CONFIG)


@hydra.main(version_base="1.3", config_path=None, config_name="table_cell")
def main(config: DictConfig) -> None:
    run_cell(config.cell, *config.location)


if __name__ == "__main__":
    main()
