"""An exponential moving average of the weights."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.models.model import Model
from genmodels.ranges import at_least
from genmodels.training.sharding import as_sharded, local, of_shares, whole


class EMA(pl.Callback):
    """average <- decay * average + (1 - decay) * weights, after every step of training (Polyak averaging).

    Of the parts that the model names (`averaged_modules`), by default the whole of it.

    The average starts as the weights before the first step, that is after data-dependent initialisation. Validation
    sees it, and so does the body of `with ema.averaged():`. The module outside of these, and a checkpoint's
    `state_dict`, hold the raw weights.

    Buffers are not averaged: the average has those of the raw weights, as in StyleGAN2's code (running means such as
    its mean style change slowly as they are). What depends on the very weights, statistics of batch norm and singular
    vectors of spectral norm, a generator in evaluation computes for the weights it has: see `AdversarialModel`.

    Args:
        decay: in [0, 1); None turns averaging off.
        start: the average is the weights for so many steps (Brock et al. 2019, Appendix C: 20,000; 1,000 in their
            code for CIFAR-10).
        ramp: half of the average is always younger than this share of the run, so that a short run's does not lag:
            after t steps decay is at most 0.5 ** (1 / (ramp * t)), 0 at t = 0. StyleGAN2-ADA's and EDM's codes have
            0.05 (`ema_rampup`), counted in images. None for no such bound.

    State in a checkpoint: {"decay": float, "average": {name in model.state_dict(): Tensor}}.

    Raises:
        UserError: a number is out of range.
    """

    def __init__(self, decay: float | None = 0.999, start: int = 0, ramp: float | None = None) -> None:
        if decay is not None and not 0 <= decay < 1:
            raise UserError(f"callbacks.ema.decay={decay} must lie in [0, 1), or be null for no averaging.")
        if ramp is not None and ramp <= 0:
            raise UserError(f"callbacks.ema.ramp={ramp} must be above 0, or null for none.")
        at_least(0, under="callbacks.ema.", start=start)
        self.decay, self.start, self.ramp = decay, start, ramp
        self._model: Model | None = None
        self._steps_seen = 0
        self._averaged: dict[str, nn.Parameter] = {}  # with sharded weights not always those in the model
        self._average: list[Tensor] = []
        self._loaded: dict[str, Tensor] = {}
        self._is_swapped = False
        self._validation = ExitStack()

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        self._model = pl_module.model
        pl_module.averaged = self.averaged

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self._steps_seen = pl_module.steps_taken
        if self.decay is not None and not self._average:
            self._start()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.decay is not None and pl_module.steps_taken > self._steps_seen:
            torch._foreach_lerp_(self._average, self._weights(), 1 - self.decay_after(self._steps_seen))

    def decay_after(self, steps: int) -> float:
        """Of the step that follows so many."""
        if self.decay is None or steps < self.start:
            return 0.0
        if self.ramp is None:
            return self.decay
        return min(self.decay, 0.5 ** (1 / (self.ramp * steps)) if steps else 0.0)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Run the body with the average in the model; where there is none yet, or within another, just run it."""
        if not self._average or self._is_swapped:
            yield
            return
        weights = self._weights()
        raw = [w.clone() for w in weights]
        torch._foreach_copy_(weights, self._average)
        self._is_swapped = True
        try:
            yield
        finally:
            torch._foreach_copy_(weights, raw)
            self._is_swapped = False

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self._loaded:  # a resumed run may begin with the validation that was interrupted
            self._start()
        self._validation.enter_context(self.averaged())

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._validation.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        self._validation.close()

    def state_dict(self) -> dict[str, Any]:
        if not self._average:
            return {}
        assert self._model is not None
        average = {id(w): a for w, a in zip(self._averaged.values(), self._average, strict=True)}
        state = self._model.state_dict(keep_vars=True)
        shares = {name: average.get(id(value), local(value)).detach() for name, value in state.items()}
        return {
            "decay": self.decay,
            "average": {name: whole(of_shares(share, state[name])).clone() for name, share in shares.items()},
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if not isinstance(state_dict["average"], dict):
            raise TypeError("the average of the weights is not kept by their names")
        self._loaded = state_dict["average"]

    def _start(self) -> None:
        assert self._model is not None
        self._averaged = self._named_weights()
        found = {name: as_sharded(self._loaded.get(name, p), p) for name, p in self._averaged.items()}
        self._average = [local(found[name]).detach().to(p.device, copy=True) for name, p in self._averaged.items()]
        self._loaded = {}

    def _weights(self) -> list[Tensor]:
        return [local(p.detach()) for p in self._averaged.values()]

    def _named_weights(self) -> dict[str, nn.Parameter]:
        assert self._model is not None
        averaged = {id(p) for module in self._model.averaged_modules() for p in module.parameters()}
        return {name: p for name, p in self._model.named_parameters() if id(p) in averaged}
