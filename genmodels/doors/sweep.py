"""Search over the settings of a training run."""

import sys
from typing import Any

from genmodels.cli import front_door


@front_door("sweep")
def main(config: dict[str, Any]) -> None:
    import importlib.util

    from genmodels.errors import UserError

    if importlib.util.find_spec("optuna") is None:
        raise UserError("a search needs optuna: pip install optuna")
    print("loading torch, Lightning and Optuna ...", flush=True)  # they take seconds
    from hydra.core.hydra_config import HydraConfig

    from genmodels.config.checks import check_arguments
    from genmodels.config.overrides import parsed, search_path
    from genmodels.sweeps.search import OWN_KEYS, search

    typed = list(HydraConfig.get().overrides.task)
    others = [o.input_line for o in parsed(typed) if o.key_or_group.partition(".")[0] not in OWN_KEYS]
    overrides = [*others, *search_path(sys.argv[1:])]
    own = {key: config[key] for key in OWN_KEYS}
    arguments = {"overrides": overrides, **own.pop("sweep"), **own}
    check_arguments(search, arguments)
    search(**arguments)
