"""Batches in a reproducible order, from any position of any epoch."""

import os
import signal
import threading
from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader

from genmodels.data.examples import Batch, Examples
from genmodels.errors import UserError
from genmodels.randomness import generator_for

Transform = Callable[[Tensor, Generator], Tensor]


class EpochSampler:
    """The positions that make up each batch of one rank.

    Training (`shuffle`): the order is a function of (seed, epoch), the last partial batch is left out, and batch b of
    all ranks together holds the same images however many ranks there are. Evaluation: the given order, every image
    once, rank r of w takes every w-th.

    Args:
        size: number of examples.
        batch_size: examples in a batch of this rank.
        seed, rank, world_size, shuffle: as above.

    Attributes:
        epoch: set by `set_epoch` (Lightning calls it).
        skip: batches to leave out at the start of the next iteration, and of that one only; set when a run resumes.
    """

    def __init__(
        self, size: int, batch_size: int, *, seed: int = 0, rank: int = 0, world_size: int = 1, shuffle: bool
    ) -> None:
        self.size, self.batch_size = size, batch_size
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.shuffle = shuffle
        self.epoch = 0
        self.skip = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        if self.shuffle:
            return self.size // (self.batch_size * self.world_size)
        return -(-len(range(self.rank, self.size, self.world_size)) // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        first, self.skip = self.skip, 0
        mine = self._order()[self.rank :: self.world_size]
        for number in range(first, len(self)):
            yield mine[number * self.batch_size : (number + 1) * self.batch_size]

    def _order(self) -> Tensor:
        if self.shuffle:
            return torch.randperm(self.size, generator=generator_for("order", self.seed, self.epoch))
        return torch.arange(self.size)


class BatchLoader:
    """Iterates over batches (x, y) of examples; its length is that of a full epoch of this rank.

    Examples in memory are batched by indexing, on the device they live on. Examples on disk are read through torch's
    DataLoader. Augmentation comes after either, in this process, with noise that is a function of (seed, epoch,
    batch, rank): so it does not depend on the number of workers, nor on where a run was resumed.

    Args:
        examples: what to iterate over.
        sampler: which positions make up each batch.
        transform: (x, generator) -> x; None leaves x as it is.
        num_workers: processes that read from disk, no more than there are cores (without effect on examples in memory).
    """

    batch_sampler = None  # Lightning asks every loader that has a `sampler` for this one too

    def __init__(
        self,
        examples: Examples,
        sampler: EpochSampler,
        transform: Transform | None = None,
        num_workers: int = 0,
    ) -> None:
        self.examples, self.sampler, self.transform = examples, sampler, transform
        self._stream: DataLoader | None = None
        if num_workers and not examples.in_memory:
            self._stream = DataLoader(
                examples,  # type: ignore[arg-type]  # anything that can be indexed by what the sampler yields
                batch_size=None,
                sampler=sampler,
                num_workers=min(num_workers, _cores()),
                persistent_workers=True,
                worker_init_fn=_leave_signals_to_the_training,
            )

    def of_all_ranks(self) -> "BatchLoader":
        """One that gives what this one and those of the other ranks give together."""
        own = self.sampler
        sampler = EpochSampler(own.size, own.batch_size * own.world_size, seed=own.seed, shuffle=own.shuffle)
        sampler.set_epoch(own.epoch)
        return BatchLoader(self.examples, sampler, self.transform)

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        sampler, first = self.sampler, self.sampler.skip
        for number, (x, y) in enumerate(self._read(), start=first):
            if self.transform is not None:
                key = (sampler.seed, sampler.epoch, number, sampler.rank)
                x = self.transform(x, generator_for("noise", *key, device=x.device))
            yield x, y

    def _read(self) -> Iterator[Batch]:
        if self._stream is None:
            for indices in self.sampler:
                yield self.examples[indices]
            return
        try:
            yield from self._stream
        except UserError as error:  # torch has put the worker's traceback around the sentence
            sentence = str(error).rpartition(f"{UserError.__name__}: ")[2].strip()
            raise UserError(sentence) from None


def _leave_signals_to_the_training(worker: int) -> None:
    """SLURM and terminals send them to all processes; the training decides when it ends, and its workers with it."""
    for name in {"SIGINT", "SIGHUP", "SIGUSR1"} & set(dir(signal)):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # Linux
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    """SIGTERM of the training itself is how it ends its workers."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)


def _cores() -> int:
    """That this process may use: torch warns of more workers, and they only wait for one another."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
