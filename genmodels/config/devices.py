"""Which processes a trainer node asks for, and which of them this one is."""

import os
from collections.abc import Mapping
from typing import Any

import torch

from genmodels import slurm
from genmodels.errors import UserError


def process_count(trainer: Mapping[str, Any]) -> int:
    """Processes over all nodes, one per device.

    Raises:
        UserError: the devices asked for are not there.
    """
    return local_processes(trainer) * int(trainer.get("num_nodes") or 1)


def local_processes(trainer: Mapping[str, Any], of: str = "trainer.") -> int:
    """Processes on this machine. `devices` means what it means to Lightning: a number, "auto", -1, a list, "0,1".

    Args:
        of: what stands before the names of the keys, for messages.
    """
    accelerator, devices = trainer.get("accelerator", "auto"), trainer.get("devices", "auto")
    on_gpu = accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available())
    if accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UserError("trainer.accelerator=gpu, but torch sees no GPU here: choose trainer=cpu or trainer=auto")
    if isinstance(devices, str) and "," in devices:
        devices = [index for index in devices.split(",") if index.strip()]
    if isinstance(devices, list) and accelerator == "cpu":
        raise UserError(
            f"trainer.devices={devices} names GPUs: on a CPU it is a number of processes, trainer.devices=1"
        )
    if isinstance(devices, list):
        count = len(devices)
    elif devices in ("auto", -1, "-1"):
        count = torch.cuda.device_count() if on_gpu else 1
    elif isinstance(devices, int) or devices.isdecimal():
        count = int(devices)
    else:
        raise UserError(f"{of}devices must be a number, a list or auto, got {devices!r}")
    if count < 1 or (on_gpu and count > torch.cuda.device_count()):
        available = f"{torch.cuda.device_count()} GPUs" if on_gpu else "this machine"
        raise UserError(f"{of}devices={trainer.get('devices')} does not fit {available}")
    return count


def evaluating_processes(devices: int | str, device: str) -> int:
    """Processes that an evaluation has to start: 1 where it is to measure in this one, as one of torchrun's too.

    Raises:
        UserError: the devices asked for are not there, or several tasks of srun are at work.
    """
    if started_by_a_launcher():
        if "WORLD_SIZE" not in os.environ:
            raise UserError("srun has started several tasks: start one, with devices=<number>, or use torchrun")
        return 1
    count = local_processes({"accelerator": "cpu" if device == "cpu" else "auto", "devices": devices}, of="")
    if count > 1 and ":" in device:
        raise UserError(f"device={device} is one device, and devices={devices} asks for {count}: leave one of them out")
    return count


def started_by_a_launcher() -> bool:
    """Whether torchrun, srun or the like has started this process as one of several already."""
    if "LOCAL_RANK" in os.environ:
        return True
    return slurm.tasks() > 1


def global_rank() -> int:
    """The rank of this process among all that a launcher started, 0 for a process on its own."""
    return slurm.rank() if slurm.tasks() > 1 else int(os.environ.get("RANK", "0"))


def launched_processes() -> int | None:
    """How many a launcher has started, None where it has not said so."""
    if slurm.tasks() > 1:
        return slurm.tasks()
    return int(os.environ["WORLD_SIZE"]) if started_by_a_launcher() and "WORLD_SIZE" in os.environ else None
