"""Hold a whole config against what will be built from it, before any data is read or any net is built."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from genmodels.config.combinations import combination_errors, kind_errors
from genmodels.config.hints import Node
from genmodels.config.nodes import argument_errors
from genmodels.config.ranges import range_errors, told_once
from genmodels.config.targets import build, raise_all
from genmodels.errors import UserError


@dataclass
class Evaluation:
    """How training scores the test set in the end: K, how many images (null: all), images x samples at a time.

    `num_samples` is how many are drawn for metrics of samples.
    """

    importance_samples: int
    max_images: int | None
    batch_size: int
    metrics: list[str] | None = None
    num_samples: int = 10_000


@dataclass
class Published:
    """The figure that an experiment reproduces, as its source gives it.

    Attributes:
        metric: the figure's name: bits_per_dim; nll (nats of a vector or image, lower is better); fid and
            inception_score, of which the protocol says more than the name; one of its own where it is measured in a
            way that ours do not compare with, such as log_likelihood_logit_space.
        value: the figure.
        source: paper and table, or the code's README; what was done to the figure, if anything (sign turned).
        status: confirmed (read in the paper, in its code, or in a published table that cites it), second_hand (in
            somebody's transcription) or recalled (from memory: not to be printed without saying so).
        standard_error: one, in the figure's unit.
        unit: where the metric's name does not tell it.
        protocol: how it was measured, where that is not as here.
        parts: further numbers of the same measurement, by the names that ours have.
    """

    metric: str
    value: float
    source: str
    status: Literal["confirmed", "second_hand", "recalled"]
    standard_error: float | None = None
    unit: Literal["bits/dim", "nats"] | None = None
    protocol: str | None = None
    parts: dict[str, float] | None = None


@dataclass
class TrainConfig:
    """The top level of conf/config.yaml. `callbacks` holds nodes by name, null for one switched off."""

    name: str
    seed: int
    data_dir: str
    output_dir: str
    resume: str | None
    compile: bool
    evaluation: Evaluation
    model: Node
    data: Node
    objective: Node
    optimizer: Node
    scheduler: Node | None
    trainer: Node
    logger: Node
    callbacks: dict[str, Node | None] | None
    # With defaults, for the configs of runs that were saved before there was such a key.
    published: Published | None = None
    optimizers: dict[str, Node] = field(default_factory=dict)
    plugins: list[str] | str | None = None
    seeds: int = 1


def check(config: Mapping[str, Any]) -> None:
    """Raise one UserError that tells every mistake in a training config, a sentence each.

    Those too that only a constructor finds: where something is wrong, the parts that look right are built for it.
    """
    raise_all(kind_errors(config))
    values = {key: value for key, value in config.items() if not isinstance(value, Mapping)}
    # First: the nodes may take a wrong one over.
    raise_all([*argument_errors(TrainConfig, values, complete=False), *range_errors(values)])
    errors = told_once([*argument_errors(TrainConfig, config), *range_errors(config)])
    raise_all([*errors, *_refusals(config)] if errors else combination_errors(config))


def check_saved(config: Mapping[str, Any]) -> None:
    """Raise one UserError for what keeps a finished run from being loaded: nodes that cannot be built, unknown keys.

    A setting that is refused today, or a device that this machine has not, is no obstacle.
    """
    raise_all(argument_errors(TrainConfig, config))


def check_arguments(function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Raise one UserError that tells every mistake in the keyword arguments for `function`, a sentence each."""
    raise_all([*argument_errors(function, arguments), *range_errors(arguments)])


def _refusals(config: Mapping[str, Any]) -> Iterator[str]:
    """What the constructors refuse of those parts of a faulty config in which nothing else is wrong."""
    for key in ("objective", "data", "callbacks", "model"):
        part = {key: config.get(key)}
        if any(argument_errors(TrainConfig, part, complete=False)) or any(range_errors(part)):
            if key == "data":
                return  # the model's sizes are taken from it
            continue
        nodes = {f"{key}.{name}": node for name, node in (part[key] or {}).items()} if key == "callbacks" else part
        for path, node in nodes.items():
            try:
                if node:
                    build(node, path)
            except UserError as error:
                yield str(error)
            except Exception:  # follows from a mistake that is told already
                continue
