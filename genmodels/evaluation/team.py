"""Several processes that measure one model together."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any, TypeVar

import torch.distributed

from genmodels.errors import UserError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Team:
    """How many processes there are, and which of them this one is.

    Attributes:
        rank: from 0 on; 0 alone measures what is not shared, and writes.
        size: of the team.
    """

    rank: int = 0
    size: int = 1

    def shared(self, items: Iterable[T], work: Callable[[int, T], R]) -> Iterator[R]:
        """`work(position, item)` of every item in order, each done by one process and given to all.

        Every process asks with the same items, and takes the same number of results.

        Raises:
            UserError: of any process, in all of them.
        """
        if self.size == 1:
            yield from (work(position, item) for position, item in enumerate(items))
            return
        numbered = enumerate(items)
        while window := list(islice(numbered, self.size)):
            mine = _attempted(work, *window[self.rank]) if self.rank < len(window) else None
            found: list[Any] = [None] * self.size
            torch.distributed.all_gather_object(found, mine)
            for outcome in found[: len(window)]:
                if isinstance(outcome, UserError):
                    raise outcome
                yield outcome


ALONE = Team()


def joined_team() -> Team:
    """This process's team, as a launcher's environment says; its processes can talk to each other from now on."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    if not torch.distributed.is_initialized():
        # Of results on the CPU. The others may wait long for an item of rank 0's.
        torch.distributed.init_process_group("gloo", timeout=timedelta(days=7))
    return Team(torch.distributed.get_rank(), torch.distributed.get_world_size())


def _attempted(work: Callable[[int, T], R], position: int, item: T) -> R | UserError:
    try:
        return work(position, item)
    except UserError as error:
        return error
