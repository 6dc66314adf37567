"""Weights, gradients and optimiser states shared out among the processes (FSDP2), in files as if they were not."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import ModelParallelStrategy
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from genmodels.bijections.base import Bijection
from genmodels.bijections.compose import Compose
from genmodels.bijections.continuous import Continuous
from genmodels.networks.transformer_block import TransformerBlock


class Sharded(ModelParallelStrategy):
    """Every process keeps its rows of each weight, its gradient, averages and the optimiser's state (Zhao et al. 2023).

    What is needed of the others' is there for as long as it is needed: layers of flows and blocks of transformers one
    after another, the rest of a model during the whole step, all of it in validations. Checkpoints are those of a run
    on one device: they are loaded without, or on another number of, processes.
    """

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    def setup_environment(self) -> None:
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def setup(self, trainer: pl.Trainer) -> None:
        assert self.accelerator is not None
        module: Any = self.lightning_module
        self.accelerator.setup(trainer)
        self.model = self.precision_plugin.convert_module(module)
        self.model_to_device()
        if trainer.ckpt_path is None:
            module.initialize()  # layers that wait for data set whole weights
        shard(module)
        if trainer.state.fn == TrainerFn.FITTING:
            self.setup_optimizers(trainer)
        self.setup_precision_plugin()

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Of all processes together; only rank 0 gets it."""
        return self._gathered(_resharded(self.lightning_module).state_dict())

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """As above."""
        state = getattr(optimizer, "_optimizer", optimizer).state_dict()
        return {**state, "state": {index: self._gathered(of_one) for index, of_one in state["state"].items()}}

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        module, whole_state = _resharded(self.lightning_module), checkpoint["state_dict"]
        own = module.state_dict()
        state = {name: as_sharded(value, own[name]) if name in own else value for name, value in whole_state.items()}
        module.load_state_dict(state, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, whole_state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            state = {
                index: {name: as_sharded(value, parameters[index]) for name, value in of_one.items()}
                for index, of_one in whole_state["state"].items()
            }
            optimizer.load_state_dict({**whole_state, "state": state})

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        return self.checkpoint_io.load_checkpoint(checkpoint_path, weights_only=weights_only)

    def _gathered(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Everything whole and on the CPU; one after another, so that only rank 0 ever holds more than one."""
        found = {}
        for name, value in state.items():
            value = whole(value) if isinstance(value, Tensor) else value
            if self.is_global_zero:
                found[name] = value.cpu() if isinstance(value, Tensor) else value
        return found


def shard(module: Any) -> None:
    """Leave of every parameter of a `TrainingModule` this process's rows, and have its steps gather the others.

    Other uses of the model need `with module.gathered():`, entered by all processes. Parameters that are a single
    number stay whole.
    """
    single = {parameter for parameter in module.parameters() if parameter.dim() == 0}
    for parameter in single:
        if parameter.requires_grad:
            parameter.register_hook(_mean_over_processes)
    for unit in _units(module):
        fully_shard(unit, reshard_after_forward=True, ignored_params=single)
        if isinstance(unit, Bijection):
            register_fsdp_forward_method(unit, "inverse")
    fully_shard(module, reshard_after_forward=False, ignored_params=single)
    for name in ("training_step", "validation_step"):
        register_fsdp_forward_method(module, name)
    module.gathered = partial(_with_whole_weights, module)


def total_norm(gradients: Sequence[Tensor]) -> Tensor:
    """The Euclidean norm of all of them together, which sharded ones ask of all processes."""
    sharded = [local(gradient) for gradient in gradients if isinstance(gradient, DTensor)]
    others = torch.nn.utils.get_total_norm([g for g in gradients if not isinstance(g, DTensor)])
    if not sharded:
        return others
    square = torch.nn.utils.get_total_norm(sharded) ** 2
    torch.distributed.all_reduce(square)
    return (square + others**2).sqrt()


def local(tensor: Tensor) -> Tensor:
    """This process's share of it, in the same memory; all of what is not shared out."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """All of it, asked for by all processes together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def as_sharded(value: Any, like: Tensor) -> Any:
    """A whole tensor shared out as `like` is, if it is one of its shape; anything else as it is."""
    if not isinstance(like, DTensor) or not isinstance(value, Tensor) or value.shape != like.shape:
        return value
    rows = distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
    return of_shares(rows.to_local().clone(), like)  # a view would keep all of it in memory


def of_shares(share: Tensor, like: Tensor) -> Tensor:
    """The tensor of which every process has a share, as of `like`."""
    if not isinstance(like, DTensor):
        return share
    shape, stride = like.shape, like.stride()
    return DTensor.from_local(share, like.device_mesh, like.placements, run_check=False, shape=shape, stride=stride)


def _mean_over_processes(gradient: Tensor) -> Tensor:
    gradient = gradient / torch.distributed.get_world_size()
    torch.distributed.all_reduce(gradient)
    return gradient


@contextmanager
def _with_whole_weights(module: FSDPModule) -> Iterator[None]:
    """Run the body with the same whole model on every process, which may then use it without the others.

    Running statistics are taken from rank 0: each process has had its share of the batches only.
    """
    for buffer in cast(nn.Module, module).buffers():
        torch.distributed.broadcast(buffer, src=0)
    units = [unit for unit in cast(nn.Module, module).modules() if isinstance(unit, FSDPModule)]
    for unit in units:
        unit.set_reshard_after_forward(False, recurse=False)
        unit.unshard()
    try:
        yield
    finally:
        # Also forgets which layers were used: processes that remember different ones would wait for one another.
        module.reset_iter_state()
        for unit in units:
            unit.set_reshard_after_forward(unit is not module, recurse=False)


def _resharded(module: Any) -> Any:
    """The module with its shares in place, also where an error has ended a validation."""
    for unit in module.modules():
        if isinstance(unit, FSDPModule):
            unit.reshard()
    return module


def _units(module: nn.Module) -> list[nn.Module]:
    """Parts that nobody but their owner calls, and by `forward` or `inverse` alone; inner ones before outer ones."""
    layers = [layer for part in module.modules() if isinstance(part, Compose) for layer in part.bijections]
    alone = [layer for layer in layers if not any(isinstance(part, Compose | Continuous) for part in layer.modules())]
    blocks = [part for part in module.modules() if isinstance(part, TransformerBlock)]
    found = [unit for unit in (*blocks, *alone) if any(True for _ in unit.parameters())]
    return list(dict.fromkeys(found))
