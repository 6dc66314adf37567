"""Measure what reversible backpropagation saves and costs: memory and time of a training step against depth.

python experiments/reversible_memory.py <folder> [<depth>]

Glow of one scale and K = 8, 16, 32, 64 steps, or of the depth asked for, with `reversible` and without it (Gomez et
al. 2017). Memory is counted, not sampled: every tensor that an operation of the step makes is logged with its bytes
when it comes and when it goes, so that two runs give the same number. Gradients of parameters, which both ways need
alike, are left out, and so is what an operation uses inside itself. Time is the process's own, the median of steps
taken in turns. A CPU minute.
"""

import json
import statistics
import sys
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from genmodels.files import write_text
from genmodels.models import Glow
from genmodels.networks.data_init import initialize
from genmodels.pictures import save_figure
from genmodels.progress_bar import progress

SHAPE, LEVELS, WIDTH, BATCH = (3, 16, 16), 256, 128, 16
DEPTHS, REPEATS = (8, 16, 32, 64), 5
WAYS = {"kept": False, "reversible": True}


class MemoryLog(TorchDispatchMode):
    """The comings and goings of the storages that operations make within.

    Attributes:
        events: (number of the storage, its bytes or minus its bytes), in the order of time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[int, int]] = []
        self._seen: dict[weakref.ref[Any], int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {weakref.ref(t.untyped_storage()) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and weakref.ref(tensor.untyped_storage()) not in given:
                self._note(tensor.untyped_storage())
        return out

    def number_of(self, tensor: Tensor) -> int | None:
        """Of its storage; None for one made outside."""
        return self._seen.get(weakref.ref(tensor.untyped_storage()))

    def _note(self, storage: torch.UntypedStorage) -> None:
        number, size = len(self.events), storage.nbytes()

        def gone(reference: weakref.ref[Any]) -> None:
            del self._seen[reference]
            self.events.append((number, -size))

        reference = weakref.ref(storage, gone)
        if reference not in self._seen:
            self._seen[reference] = number
            self.events.append((number, size))


def live(events: Sequence[tuple[int, int]], left_out: set[int | None]) -> list[int]:
    """Bytes alive after each event, storages of these numbers apart."""
    now, found = 0, [0]
    for number, size in events:
        now += 0 if number in left_out else size
        found.append(now)
    return found


def glow(num_steps: int, reversible: bool) -> Glow:
    """Initialised, away from where its couplings do nothing."""
    torch.manual_seed(0)
    model = Glow(SHAPE, LEVELS, num_scales=1, num_steps=num_steps, width=WIDTH, reversible=reversible)
    initialize(model, lambda: model.log_prob(images()))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return model


def images() -> Tensor:
    """A batch, [B, C, H, W]."""
    return torch.randint(LEVELS, (BATCH, *SHAPE), generator=torch.Generator().manual_seed(0))


def memory(model: Glow) -> dict[str, int]:
    """Bytes held between the passes, and at the most at any time in a step."""
    x = images()
    model.zero_grad()
    with MemoryLog() as log:
        loss = -model.log_prob(x).mean()
        between = len(log.events)
        loss.backward()
    gradients = {log.number_of(p.grad) for p in model.parameters() if p.grad is not None}
    alive = live(log.events, gradients)
    return {"held": alive[between], "peak": max(alive)}


def seconds(model: Glow) -> float:
    """CPU time of forward and backward pass."""
    x = images()
    model.zero_grad()
    start = time.process_time()
    (-model.log_prob(x).mean()).backward()
    return time.process_time() - start


def measured(depths: Sequence[int], repeats: int) -> list[dict[str, Any]]:
    """A row for each depth and way, and how far apart the gradients of the two ways are."""
    rows = []
    for depth in progress(depths, "depths"):
        models = {way: glow(depth, reversible) for way, reversible in WAYS.items()}
        bytes_of = {way: memory(model) for way, model in models.items()}
        times: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(repeats):
            for way, model in models.items():
                times[way].append(seconds(model))
        for way in WAYS:
            rows.append({"num_steps": depth, "way": way, **bytes_of[way], "seconds": statistics.median(times[way])})
        rows[-1]["gradients_apart"] = _apart(*models.values())
    return rows


def _apart(kept: Glow, reversible: Glow) -> float:
    """|g' - g| / |g| over all parameters, for the same noise."""
    gradients = []
    for model in (kept, reversible):
        torch.manual_seed(1)
        seconds(model)
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    return float((gradients[1] - gradients[0]).norm() / gradients[0].norm())


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Memory on the left, time on the right, against the number of steps."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for way, colour in (("kept", "tab:orange"), ("reversible", "tab:blue")):
        own = [row for row in rows if row["way"] == way]
        depths = [row["num_steps"] for row in own]
        left.plot(depths, [row["peak"] / 1e6 for row in own], "o-", color=colour, label=f"{way}, peak")
        left.plot(depths, [row["held"] / 1e6 for row in own], "o:", color=colour, label=f"{way}, between the passes")
        right.plot(depths, [row["seconds"] for row in own], "o-", color=colour, label=way)
    left.set(title="memory for activations", xlabel="K, steps of flow", ylabel="MB", yscale="log", ylim=(1e-3, None))
    right.set(title="time of a training step", xlabel="K, steps of flow", ylabel="CPU seconds", ylim=(0, None))
    for axes in (left, right):
        axes.set_xticks(sorted({row["num_steps"] for row in rows}))
        axes.legend(fontsize="small", loc="lower right")
    save_figure(figure, path)


def main(folder: Path, depths: Sequence[int] = DEPTHS, repeats: int = REPEATS) -> list[dict[str, Any]]:
    """Write reversible_memory.png and .json into the folder."""
    rows = measured(depths, repeats)
    setting = {"shape": SHAPE, "width": WIDTH, "batch_size": BATCH, "threads": torch.get_num_threads()}
    write_text(folder / "reversible_memory.json", json.dumps({**setting, "rows": rows}, indent=1) + "\n")
    draw(rows, folder / "reversible_memory.png")
    return rows


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    print(json.dumps(main(Path(sys.argv[1]), [*map(int, sys.argv[2:])] or DEPTHS), indent=1))
