"""Hold a whole config against what will be built from it, before any data is read or any net is built."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from genmodels.config.combinations import combination_errors, kind_errors
from genmodels.config.hints import Node
from genmodels.config.nodes import argument_errors
from genmodels.config.targets import raise_all


@dataclass
class Evaluation:
    """How training scores the test set in the end: K, how many images (null: all), images x samples at a time."""

    importance_samples: int
    max_images: int | None
    batch_size: int
    metrics: list[str] | None = None


@dataclass
class Published:
    """The figure that an experiment reproduces, as its source gives it.

    Attributes:
        metric: the figure's name: bits_per_dim; nll (nats of a vector or image, lower is better); one of its own where
            it is measured in a way that ours do not compare with, such as log_likelihood_logit_space.
        value: the figure.
        source: paper and table, or the code's README; what was done to the figure, if anything (sign turned).
        status: confirmed (read in the paper, in its code, or in a published table that cites it), second_hand (in
            somebody's transcription) or recalled (from memory: not to be printed without saying so).
        standard_error: one, in the figure's unit.
        unit: where the metric's name does not tell it.
        protocol: how it was measured, where that is not as here.
    """

    metric: str
    value: float
    source: str
    status: Literal["confirmed", "second_hand", "recalled"]
    standard_error: float | None = None
    unit: Literal["bits/dim", "nats"] | None = None
    protocol: str | None = None


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


def check(config: Mapping[str, Any]) -> None:
    """Raise one UserError that tells every mistake in a training config, a sentence each."""
    raise_all(kind_errors(config))
    values = {key: value for key, value in config.items() if not isinstance(value, Mapping)}
    raise_all(argument_errors(TrainConfig, values, complete=False))  # first: the nodes may take a wrong one over
    raise_all(argument_errors(TrainConfig, config))
    raise_all(combination_errors(config))


def check_arguments(function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Raise one UserError that tells every mistake in the keyword arguments for `function`, a sentence each."""
    raise_all(argument_errors(function, arguments))
