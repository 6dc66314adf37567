"""Mistakes that lie in two choices together, each of which is right on its own."""

from collections.abc import Iterator, Mapping
from typing import Any

from genmodels.config.devices import process_count
from genmodels.errors import UserError


def combination_errors(config: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for every pair of choices that cannot go together, in a config whose parts are right.

    What only the built model can tell (sides it cannot halve, objective without a density) it tells itself, by
    UserError from its constructor.
    """
    try:
        processes = process_count(config["trainer"])
    except UserError as error:
        yield str(error)
        return
    batch, evaluation = config["data"].get("batch_size"), config["evaluation"]
    if isinstance(batch, int) and batch % processes:
        fitting = max(batch // processes, 1) * processes
        yield (
            f"data.batch_size={batch} cannot be shared evenly by {processes} processes: "
            f"take a multiple of {processes}, such as {fitting}"
        )
    for key, smallest in (("importance_samples", 1), ("batch_size", 1), ("max_images", 1)):
        if evaluation[key] is not None and evaluation[key] < smallest:
            yield f"evaluation.{key} must be at least {smallest}, got {evaluation[key]}"
    if config["seed"] < 0:
        yield f"seed must not be negative, got {config['seed']}"
