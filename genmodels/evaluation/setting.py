"""A finished run set up for questions: its model on a device, its data at hand, its noise seeded."""

from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genmodels.config.targets import build
from genmodels.data import BatchLoader, DataModule, EpochSampler
from genmodels.errors import UserError
from genmodels.evaluation.metrics.metric import Split
from genmodels.files import replacing
from genmodels.memory import hold_in_memory
from genmodels.models.model import Model
from genmodels.pictures import is_image, save_grid, save_scatter
from genmodels.randomness import generator_for, seed_for, seeded
from genmodels.ranges import at_least
from genmodels.runs.finished_run import Run


class Setting:
    """What scoring, sampling, completion and interpolation start from.

    Args:
        run: with the weights to use.
        batch_size: examples (for scores: examples x samples) that go through the model at a time.
        device: "auto" (the first GPU if there is one), "cpu", "cuda", "cuda:1".
        seed: of all noise and every choice of examples.
        data_dir: where the data lies, if no longer where the run found it.
        out: path of what is drawn, without suffix; None: in the run's `samples` folder.

    Attributes:
        model: of the run, on the device.

    Raises:
        UserError: an argument is out of its range, or there is no such device.
    """

    def __init__(
        self,
        run: Run,
        batch_size: int = 100,
        device: str = "auto",
        seed: int = 0,
        data_dir: str | None = None,
        out: str | None = None,
    ) -> None:
        at_least(1, under="", batch_size=batch_size)
        at_least(0, under="", seed=seed)
        self.run = run
        self.batch_size = batch_size
        self.seed = seed
        self.place = chosen_device(device)
        self.model: Model = run.model.to(self.place)
        self._data_dir = data_dir
        self._out = None if out is None else str(Path(out).expanduser())

    def data(self, batch_size: int) -> DataModule:
        """The run's data in batches of this size, without augmentation."""
        node = dict(self.run.config["data"], batch_size=batch_size, download=False)
        node.update({key: value for key, value in (("flip", False), ("shift", 0.0)) if key in node})
        if self._data_dir is not None:
            node["root"] = self._data_dir
        return build(node, "data")

    def batches(self, split: Split, batch_size: int) -> BatchLoader:
        """Of "train" in a random order, less what does not fill a batch."""
        data = self.data(batch_size)
        return {"train": data.train_dataloader, "val": data.val_dataloader, "test": data.test_dataloader}[split]()

    def training_set(self, batch_size: int) -> BatchLoader:
        """Every training example once, in the set's own order; each pass sees the same."""
        loader = self.batches("train", batch_size)
        whole = EpochSampler(len(loader.examples), batch_size, shuffle=False)
        return BatchLoader(loader.examples, whole, loader.transform)

    def random_test_examples(self, count: int) -> tuple[Tensor, Tensor | None]:
        """`count` different examples of the test set, at random: x, and y where there are labels, on the CPU.

        Raises:
            UserError: there are not so many.
        """
        loader = self.batches("test", count)
        if len(loader.examples) < count:
            raise UserError(
                f"{count} test examples are needed and there are {len(loader.examples)}: choose a smaller n"
            )
        rows = torch.randperm(len(loader.examples), generator=generator_for("test examples", self.seed))[:count]
        chosen = BatchLoader(loader.examples.part(rows), EpochSampler(count, count, shuffle=False), loader.transform)
        return next(iter(chosen))

    def hold(self, **counts: int) -> None:
        """Check that so many samples, by the name of the setting, are one at least and fit into memory.

        Raises:
            UserError: they are fewer or do not.
        """
        at_least(1, under="", **counts)
        for key, count in counts.items():
            hold_in_memory(key, count, self.model.shape, 4 if self.model.levels is None else 1)

    def noise(self, purpose: str) -> AbstractContextManager[None]:
        """Run the body with torch's generators at a state that is a function of the purpose and the seed."""
        return seeded(seed_for(purpose, self.seed), self.place)

    def write(self, samples: Tensor, labels: Tensor | None, name: str, columns: int | None = None) -> list[Path]:
        """Write <path>.npz (arrays `samples` and `labels`) and, where there is a way to draw them, <path>.png.

        Images of 1 or 3 channels make a grid of so many columns, points in the plane a scatter plot.

        Args:
            name: of the files in the run's `samples` folder, unless there is `out`.
        Returns: the files.
        """
        path = self.path(name)
        arrays, picture = path.with_name(f"{path.name}.npz"), path.with_name(f"{path.name}.png")
        kinds = np.array([]) if labels is None else labels.cpu().numpy()
        with replacing(arrays) as file:
            np.savez_compressed(file, samples=samples.numpy(), labels=kinds)
        levels = self.model.levels
        if levels is not None and is_image(samples.shape[1:]):
            save_grid(samples, levels, picture, columns)
        elif samples.shape[1:] == (2,):
            save_scatter(samples, picture)
        else:
            return [arrays]
        return [picture, arrays]

    def path(self, name: str) -> Path:
        """Where a file of that name belongs, without suffix: `out`, or the run's `samples` folder.

        Raises:
            UserError: `out` cannot be a file, or its folder cannot be made.
        """
        if self._out is None:
            self.run.folder.keep_inside(self.run.folder.samples)
            return self.run.folder.samples / name
        out = Path(self._out)
        if not out.name:
            raise UserError(f"out={self._out} has to end in a name for the files")
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"out={self._out}: its folder cannot be made: {error.strerror}") from error
        return out.with_suffix("") if out.suffix in (".png", ".npz") else out


def chosen_device(name: str) -> torch.device:
    """The device that `name` means; "auto" is the first GPU if there is one.

    Raises:
        UserError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={name} is not available here: choose auto, cpu or cuda:<number>") from error
    return device


def on(place: torch.device, y: Tensor | None) -> Tensor | None:
    """Labels on a device, where there are any."""
    return None if y is None else y.to(place)
