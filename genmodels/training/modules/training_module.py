"""What every Lightning module here shares: how steps are made and counted, seeded, validated, saved."""

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, get_args

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from genmodels.data import DataModule
from genmodels.errors import UserError
from genmodels.models.contract import Batch
from genmodels.models.model import Model
from genmodels.networks.data_init import needs_initialization
from genmodels.objectives import Objective, Selection
from genmodels.objectives.objective import Direction
from genmodels.precisions import precision_error
from genmodels.randomness import seed_for, seed_generators, seeded
from genmodels.training.initialization import broadcast_from_rank_zero, initialize_from
from genmodels.training.modules.validation import ValidationMeans, culprit
from genmodels.training.position import is_mid_accumulation, window_size
from genmodels.training.recording import record
from genmodels.training.sharding import local, total_norm

_SMALLEST_NORM = 1e-6  # added to the norm of a gradient that is divided by it, as torch does

MakeOptimizer = Callable[[Iterable[Any]], Optimizer]
MakeScheduler = Callable[[Optimizer], LRScheduler]


@dataclass(frozen=True)
class StepRules:
    """How gradients become a step, the same for every optimiser.

    Keys of the trainer that Lightning refuses for modules that optimise by hand, so that the modules mind them.

    Attributes:
        accumulate_grad_batches: batches whose gradients make up one step.
        gradient_clip_val: largest norm (or absolute value) of an optimiser's gradient; None for no limit.
        gradient_clip_algorithm: which of the two.
    """

    accumulate_grad_batches: int = 1
    gradient_clip_val: float | None = None
    gradient_clip_algorithm: Literal["norm", "value"] = "norm"


class TrainingModule(pl.LightningModule, ABC):
    """Trains `model` for `objective`, by one optimiser or several.

    All noise (dequantisation, dropout, latents) of a training step is a function of (seed, batch count, rank), and
    of a validation batch one of (seed, batch index, rank): a resumed run draws what an uninterrupted one would have
    drawn, and validation figures of different steps differ by the weights alone.

    A subclass names the parts that it trains and gives `training_step` and `evaluate_batch`. One with several parts
    sets `automatic_optimization = False` and makes its steps by `update`.

    Args:
        model: what is trained.
        objective: what for.
        optimizer: parameter groups -> Optimizer, of every part that `optimizers` does not name. Weight decay applies to
            the model's `decayed_parameters()` alone.
        optimizers: others, by the name of the part.
        scheduler: optimizer -> LRScheduler, one for each optimiser, all of them moved by each step of training; None
            keeps the learning rate.
        rules: for steps.
        seed: of the run.

    Attributes:
        counted: the part whose updates are the steps of training; the first one unless named.
        steps_taken: updates so far of what is wanted in the end; all that counts, logs, saves or shows steps uses it.
        memory: parts of the objective, registered so that they move with the module and survive a resumption.
        selection: the figure that selects weights, logged as `val/<name>`, or None.
        averaged: `with module.averaged():` has averaged weights in the model, where the run keeps an average.
        gathered: `with module.gathered():`, entered by all processes, has whole weights in the model of each, where
            they are shared out. Training and validation steps need none.
        step_metrics: scalars of the latest training step. Callbacks may add theirs; `StepMetrics` logs them.

    Raises:
        UserError: objective and model do not go together, or `optimizers` names no part.
    """

    counted: ClassVar[str | None] = None
    averaged: Callable[[], AbstractContextManager[None]] = staticmethod(nullcontext)
    gathered: Callable[[], AbstractContextManager[None]] = staticmethod(nullcontext)

    def __init__(
        self,
        model: Model,
        objective: Objective,
        optimizer: MakeOptimizer,
        optimizers: Mapping[str, MakeOptimizer] = MappingProxyType({}),
        scheduler: MakeScheduler | None = None,
        rules: StepRules = StepRules(),
        seed: int = 0,
    ) -> None:
        super().__init__()
        objective.check(model)
        self.model = model
        self.objective = objective
        self.memory = nn.ModuleDict(objective.memory)
        self.selection = _selection(objective, model)
        self.rules = rules
        self.step_metrics: dict[str, Tensor] = {}
        parts = list(self.trained_parts())
        for name in set(optimizers) - set(parts):
            raise UserError(f"optimizers.{name} names no part that is trained: there is {', '.join(parts)}")
        self._make_optimizers = {part: optimizers.get(part, optimizer) for part in parts}
        self._make_scheduler = scheduler
        self._seed = seed
        self._means = ValidationMeans()
        self._validation = ExitStack()
        self._told_not_finite = False

    def trained_parts(self) -> dict[str, nn.Module]:
        """By name, the parts of the model that have an optimiser each."""
        return {"model": self.model}

    @property
    def shown(self) -> list[str]:
        """Names of the figures to watch: the one that selects weights, or else all of the latest training step."""
        if self.selection is not None:
            return [self.selection.name]
        return [name.removeprefix("train/") for name in self.step_metrics if name.startswith("train/")]

    @abstractmethod
    def evaluate_batch(self, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """Means over a batch, by name: what validation logs, and what data-dependent initialisation passes through."""

    # ---- steps

    @property
    def steps_taken(self) -> int:
        """Updates of the part that counts: `update` lets Lightning count these alone."""
        return self.trainer.global_step

    def steps_in(self, windows: int) -> int | None:
        """Steps of training that come of so many windows of accumulated batches; None if that cannot be told.

        A module that makes its steps by hand says so itself.
        """
        return windows if self.automatic_optimization else None

    def update(self, part: str, *losses: Callable[[], Tensor]) -> Tensor:
        """One step of a part's optimiser, for modules that optimise by hand; returns the mean loss.

        Gradients of the other parts are not computed. While gradients are accumulated there is only their sum.

        Args:
            losses: each computes the scalar to minimise for one batch: the current one, or all of a window of
                accumulated batches at once, when it is full.
        """
        index = list(self._make_optimizers).index(part)
        optimizer = _listed(self.optimizers())[index]
        self.toggle_optimizer(optimizer)
        values = [self._descend(loss) for loss in losses]
        if not is_mid_accumulation(self.trainer):
            if part == (self.counted or next(iter(self._make_optimizers))):
                optimizer.step()
                self._step_schedulers()
            else:  # past Lightning's wrapper, which would count it
                self.trainer.strategy.optimizer_step(optimizer.optimizer, lambda: None)
            optimizer.zero_grad()
        self.untoggle_optimizer(optimizer)
        return torch.stack(values).mean()

    def _descend(self, loss: Callable[[], Tensor]) -> Tensor:
        value = loss()
        self.manual_backward(value / window_size(self.trainer))
        return value.detach()

    def _step_schedulers(self) -> None:
        """All of them: schedules are functions of the steps of training."""
        if self._make_scheduler is not None:
            for scheduler in _listed(self.lr_schedulers()):
                scheduler.step()

    def suffix_of(self, optimizer: Optimizer) -> str:
        """What tells figures of one of several optimisers apart: "/<part>"; "" where there is only one."""
        optimizers = self.trainer.optimizers
        return f"/{list(self._make_optimizers)[optimizers.index(optimizer)]}" if len(optimizers) > 1 else ""

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        # Lightning calls this after the callbacks, which measure the gradient as it was.
        limit = self.rules.gradient_clip_val
        if limit is None:
            return
        gradients = [parameter.grad for parameter in parameters_of(optimizer) if parameter.grad is not None]
        shares = [local(gradient) for gradient in gradients]
        if self.rules.gradient_clip_algorithm == "value":
            torch._foreach_clamp_min_(shares, -limit)
            torch._foreach_clamp_max_(shares, limit)
        else:
            torch._foreach_mul_(shares, (limit / (total_norm(gradients) + _SMALLEST_NORM)).clamp(max=1.0))

    def configure_optimizers(self) -> Any:
        optimizers = [self._make_optimizers[name](self._groups(part)) for name, part in self.trained_parts().items()]
        if self._make_scheduler is None:
            return optimizers
        return optimizers, [{"scheduler": self._make_scheduler(o), "interval": "step"} for o in optimizers]

    def _groups(self, part: nn.Module) -> list[dict[str, Any]]:
        parameters = [p for p in part.parameters() if p.requires_grad]
        own = {id(p) for p in parameters}
        decayed = [p for p in self.model.decayed_parameters() if id(p) in own]
        chosen = {id(p) for p in decayed}
        rest = [p for p in parameters if id(p) not in chosen]
        if not rest:
            return [{"params": parameters}]
        return [{"params": decayed}, {"params": rest, "weight_decay": 0.0}]

    # ---- the course of a run

    def setup(self, stage: str) -> None:
        if error := precision_error(self.trainer.precision):
            raise UserError(error)

    def configure_model(self) -> None:
        """Lightning asks for it where weights are shared out, which `Sharded` does."""

    def on_train_start(self) -> None:
        self.initialize()

    def initialize(self) -> None:
        """Let layers that wait for data have it: on rank 0 for all, the same examples however many ranks there are."""
        if not needs_initialization(self.model):
            return
        if self.trainer.is_global_zero:
            data: DataModule | None = self.trainer.datamodule  # type: ignore[attr-defined]  # None: somebody's own loader
            loader = self.trainer.train_dataloader if data is None else data.train_dataloader().of_all_ranks()
            assert loader is not None
            move = self.trainer.strategy.batch_to_device
            initialize_from(self.model, self.evaluate_batch, loader, move, self.model.init_batch_size, self._seed)
        if self.trainer.world_size > 1:
            broadcast_from_rank_zero(self.model)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        seed = seed_for("train", self._seed, self.trainer.fit_loop.total_batch_idx, self.global_rank)
        seed_generators(seed, self.device)

    def on_validation_start(self) -> None:
        # After the callbacks' hook, in which averaged weights come in; on_validation_epoch_end is before they go.
        self._validation.enter_context(self.gathered())

    def on_validation_epoch_start(self) -> None:
        self._means = ValidationMeans()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        x, y = batch
        metrics = {name: float(value) for name, value in self._seeded_metrics(x, y, batch_idx).items()}
        self._tell_if_not_finite(x, y, batch_idx, metrics)
        self._means.add(metrics, len(x))

    def _seeded_metrics(self, x: Tensor, y: Tensor | None, batch_idx: int) -> dict[str, Tensor]:
        with seeded(seed_for("validation", self._seed, batch_idx, self.global_rank), self.device):
            return self.evaluate_batch(x, y)

    def _tell_if_not_finite(self, x: Tensor, y: Tensor | None, batch_idx: int, metrics: Mapping[str, float]) -> None:
        """Warn once, with the example that makes a validation figure infinite or nan where it is a single one."""
        name = next((name for name, value in metrics.items() if not math.isfinite(value)), None)
        if name is None or self._told_not_finite or self.trainer.sanity_checking:
            return
        self._told_not_finite = True
        first, ranks = self._means.count, self.trainer.world_size
        found = culprit(
            name,
            x,
            y,
            lambda x, y: self._seeded_metrics(x, y, batch_idx),
            batch_idx,
            lambda row: self.global_rank + ranks * (first + row),
        )
        warnings.warn(f"val/{name} of step {self.steps_taken} is not finite {found}.", stacklevel=2)

    def on_validation_epoch_end(self) -> None:
        means = self._means.of_all_ranks(self.trainer, self.device)
        record(self.trainer, {f"val/{name}": mean for name, mean in means.items()})
        self._validation.close()


def _selection(objective: Objective, model: Model) -> Selection | None:
    found = objective.selection(model)
    if found is None or (isinstance(found, Selection) and found.direction in get_args(Direction)):
        return found
    raise UserError(
        f"{type(objective).__name__}.selection has to give None or a genmodels.objectives.Selection with the direction "
        f"lower or higher, not {found!r}"
    )


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    """All parameters that `optimizer` updates."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _listed(found: Any) -> list[Any]:
    """Lightning hands over a single optimiser or scheduler as it is."""
    return list(found) if isinstance(found, list | tuple) else [found]
