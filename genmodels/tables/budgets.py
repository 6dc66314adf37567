"""How much work a cell of a table is given, and the one rule by which a recipe is made as short as that."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from genmodels.errors import UserError, nearest

LENGTHS = (
    "scheduler.warmup_steps",
    "scheduler.decay_start",
    "scheduler.epoch_steps",
    "objective.warmup_steps",
    "objective.annealing_steps",
    "objective.augment.ramp_images",
    "callbacks.ema.start",
)
"""Keys of a recipe that count steps or images from its beginning on, and so shrink with it."""

_LATEST_RAMP = 0.05  # of a run: half of an average of weights is younger
_CHECKPOINTS = 10
_FEWEST_VALIDATIONS, _MOST_VALIDATIONS = 4, 50  # few data are overfitted long before the seconds are over
_SCORING = 0.15  # of the seconds of training, for validations and test together
_LATEST, _AT_LEAST = 1.2, 5  # of the seconds, and seconds more: where training and validations end
_FEWEST = 16  # examples that are scored however long they take
_EVENING = 5400  # CPU seconds of training that a shared budget has for a whole table: nine rows of ten minutes
_BESIDE = ("samples", "kl_units", "curves", "invertibility", "early_stopping")

RULE = """
The budgets `smoke`, `laptop` and `gpu_hour` are seconds of training, the same for every cell, and not steps: a few
steps of the cell's own model are timed once, and the run gets as many steps as the seconds hold, at most the recipe's
own (where there is a recipe, and not only a model and data).
Everything in the recipe that is a length ({lengths}) is multiplied by the same ratio, steps / the recipe's steps; an
exponential decay keeps its total; half of an average of weights is always younger than a twentieth of the run; there
are {fewest} to {most} validations, evenly spread, as many as take {scoring} of the training's seconds together with the
test, and no early stopping; the weights that validated best count, as ever; where even {fewest} would take more, fewer
examples are scored;
a run whose steps become dearer than those timed ends after {latest} of its seconds, validations included, with fewer
steps.
`smoke` and `laptop` take a model's `<name>_small` where there is one, and small batches; of what a recipe sets of its
model, the size (what `<name>_small` itself sets) yields to the small one's, and everything else stays, such as the
latents of a posterior. Learning rates stay as the recipe has them. `paper` is the recipe as it
stands.
"""


@dataclass(frozen=True)
class Budget:
    """What each cell may take.

    Attributes:
        name: as typed.
        seconds: of a row's training or of each cell's; None: the recipe's own length.
        shared: whether a row's cells share the seconds, and a table's rows ninety minutes.
        clock: which seconds: "cpu" of the process, or "wall" beside a GPU.
        small: whether <model>_small takes the place of the model.
        image_batch, vector_batch: largest batches; None: the recipe's.
        examples: largest number of validation and of test examples; None: all.
        importance_samples: largest K at the test; None: the recipe's.
        samples: drawn from the model, and real ones to hold them against, for figures of samples; None: 10,000 and all.
    """

    name: str
    seconds: float | None = None
    shared: bool = False
    clock: Literal["cpu", "wall"] = "cpu"
    small: bool = False
    image_batch: int | None = None
    vector_batch: int | None = None
    examples: int | None = None
    importance_samples: int | None = None
    samples: int | None = None

    def training_seconds(self, columns: int, cells: int) -> float | None:
        """Of one cell: the same for every cell of a table, also where a row leaves columns out.

        Args:
            columns: of the table.
            cells: of the table that can be run, whichever of them are asked for.
        """
        if self.seconds is None or not self.shared:
            return self.seconds
        return min(self.seconds / columns, _EVENING / max(1, cells))

    def in_words(self, columns: int, cells: int) -> str:
        """What the budget is, for below a table of so many columns and cells that can be run."""
        if self.seconds is None:
            return f"`{self.name}`: the recipe as it stands."
        seconds = self.training_seconds(columns, cells)
        each = f"a row and {_EVENING:,} a table at most, which makes {seconds:.0f} a cell" if self.shared else "a cell"
        kind = "CPU seconds" if self.clock == "cpu" else "seconds beside a GPU"
        batches = f", in batches of at most {self.image_batch} images or {self.vector_batch} vectors"
        order = " It shows that every row runs; the order of rows says nothing." if self.name == "smoke" else ""
        return (
            f"`{self.name}`: {self.seconds:g} {kind} of training {each}{batches if self.image_batch else ''}; "
            f"at most {self.examples:,} test examples, K = {self.importance_samples}, {self.samples:,} samples.{order}"
        )


# A laptop's row is to take 15 CPU minutes at most: 10 train, the rest starts up, times, validates and tests. A table of
# dozens of rows would still take a day, hence the bound on all of them.
BUDGETS = {
    budget.name: budget
    for budget in (
        Budget("smoke", 20, False, "cpu", True, 32, 256, 128, 16, 1000),
        Budget("laptop", 600, True, "cpu", True, 64, 512, 1000, 64, 2000),
        Budget("gpu_hour", 3300, False, "wall", False, None, None, 10_000, 64, 10_000),
        Budget("paper"),
    )
}


def budget_of(name: str) -> Budget:
    """Raises UserError: there is none of that name."""
    if name not in BUDGETS:
        meant = nearest(name, BUDGETS)
        raise UserError(f"budget={name} does not exist: " + (f"did you mean {meant}?" if meant else ", ".join(BUDGETS)))
    return BUDGETS[name]


def rule() -> str:
    """The rule in Markdown."""
    keys = ", ".join(f"`{key}`" for key in LENGTHS)
    shares = {"latest": f"{_LATEST:.0%}", "scoring": f"{_SCORING:.0%}"}
    counts = {"fewest": _FEWEST_VALIDATIONS, "most": _MOST_VALIDATIONS}
    return " ".join(RULE.format(lengths=keys, **counts, **shares).split())


def settings(recipe: Mapping[str, Any], budget: Budget, metrics: Sequence[str]) -> list[str]:
    """What the budget changes in a recipe whatever the number of steps, as overrides of train.py.

    Args:
        recipe: composed.
        metrics: that the table asks for beside those of every run.
    """
    asked = [f"evaluation.metrics=[{','.join(metrics)}]"] if metrics else []
    if budget.seconds is None:
        return asked
    batch = _batch(recipe, budget)
    evaluation = recipe["evaluation"]
    limit = budget.samples if metrics or evaluation["metrics"] else budget.examples
    found = [
        *asked,
        f"data.batch_size={batch}",
        f"trainer.limit_val_batches={math.ceil((budget.examples or 1) / batch)}",
        "trainer.check_val_every_n_epoch=null",
        "trainer.max_epochs=-1",
        f"evaluation.max_images={limit}",
        f"evaluation.num_samples={budget.samples}",
        f"evaluation.importance_samples={min(evaluation['importance_samples'], budget.importance_samples or 1)}",
        f"evaluation.batch_size={min(evaluation['batch_size'], 1000)}",
        "logger=csv",
    ]
    found += [f"callbacks.{name}=null" for name in _BESIDE if recipe["callbacks"].get(name)]
    if recipe["callbacks"]["ema"]["decay"] is not None and recipe["callbacks"]["ema"]["ramp"] is None:
        found.append(f"callbacks.ema.ramp={_LATEST_RAMP}")
    return found if budget.clock == "wall" else [*found, "trainer=cpu"]


def _batch(recipe: Mapping[str, Any], budget: Budget) -> int:
    largest = budget.vector_batch if recipe["data"]["levels"] is None else budget.image_batch
    own = int(recipe["data"]["batch_size"])
    return own if largest is None else min(own, largest)


def lengths(config: Mapping[str, Any], steps: int, recipe_steps: float, validations: int) -> list[str]:
    """The recipe's lengths for so many steps in place of its own, as overrides of train.py."""
    ratio = steps / recipe_steps
    found = [
        f"trainer.max_steps={steps}",
        f"trainer.val_check_interval={batches_of(config, math.ceil(steps / validations))}",
        f"callbacks.checkpoints.every_n_steps={max(1, steps // _CHECKPOINTS)}",
    ]
    if ratio >= 1:
        return found
    for key in LENGTHS:
        length = _at(config, key)
        if length:
            found.append(f"{key}={max(1, round(length * ratio))}")
    rate = _at(config, "scheduler.rate")
    if rate is not None:
        found.append(f"scheduler.rate={rate ** (1 / ratio)!r}")
    return found


def validations(config: Mapping[str, Any], seconds: float, seconds_per_example: float) -> int:
    """How many fit, beside the test, into the seconds that scoring may take; see `scored`."""
    evaluation, examples = config["evaluation"], config["trainer"]["limit_val_batches"] * config["data"]["batch_size"]
    test = evaluation["importance_samples"] * evaluation["max_images"] * seconds_per_example
    fitting = (_SCORING * seconds - test) / (examples * seconds_per_example)
    return int(min(max(fitting, _FEWEST_VALIDATIONS), _MOST_VALIDATIONS))


def scored(config: Mapping[str, Any], seconds: float, seconds_per_example: float) -> list[str]:
    """Fewer validation and test examples where the budget's would take too long, as overrides of train.py.

    Args:
        config: of the cell.
        seconds: of training.
        seconds_per_example: in a validation; a test takes K times as long.
    """
    evaluation, batch = config["evaluation"], config["data"]["batch_size"]
    passes = _FEWEST_VALIDATIONS + evaluation["importance_samples"]
    fitting = int(_SCORING * seconds / (seconds_per_example * passes))
    if evaluation["metrics"] or fitting >= evaluation["max_images"]:
        return []
    count = max(_FEWEST, fitting)
    return [f"evaluation.max_images={count}", f"trainer.limit_val_batches={math.ceil(count / batch)}"]


def latest_end(seconds: float, clock: str) -> list[str]:
    """An end to training and validations that take longer than they were to, as overrides of train.py.

    An adaptive solver asks its network more often as training goes on, and the first steps tell nothing of it.

    Args:
        seconds: that training was to take.
        clock: that counts them.
    """
    node = "callbacks.time_limit"
    limit = f"+{node}.seconds={_LATEST * seconds + _AT_LEAST:.1f}"
    return [f"+{node}._target_=genmodels.training.TimeLimit", limit, f"+{node}.clock={clock}"]


def batches_of(config: Mapping[str, Any], steps: int) -> int:
    """Batches that so many steps take: each may accumulate some, and wait for some updates of a critic."""
    accumulated = config["trainer"].get("accumulate_grad_batches") or 1
    return steps * accumulated * (config["objective"].get("critic_steps") or 1)


def _at(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config.get(part) if isinstance(config, Mapping) else None
    return config
