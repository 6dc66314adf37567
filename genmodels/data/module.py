"""The one data module: any data set, split, batched and augmented."""

from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl
import torch

from genmodels.data.augment import Augmentation, binarized
from genmodels.data.examples import Examples, hold_out
from genmodels.data.loader import BatchLoader, EpochSampler
from genmodels.data.source import Options
from genmodels.data.sources import source_for
from genmodels.data.table_checks import constant_column, not_finite
from genmodels.errors import UserError
from genmodels.randomness import generator_for


class DataModule(pl.LightningDataModule):
    """Batches (x, y): images uint8 [B, C, H, W] of values 0..levels-1, or vectors float32 [B, D]; y int64 [B] or None.

    Args:
        name: which data set, see `genmodels.data.sources.SOURCES`; or a `Source` of a user's own, "my_package.Rings".
        shape: of one example; held against what the files yield.
        levels: values of a pixel. Fewer than the set has (a power of two) floor-divides them as Glow does for 5-bit
            images; None for vectors.
        num_classes: number of labels; None: y is None.
        root: folder of the data sets' files.
        download: fetch what is missing.
        batch_size: over all devices together, in training and evaluation alike.
        validation: how many training examples to hold out for validation (below 1: which fraction of them). None where
            the set has a validation part of its own.
        split_seed: draws the validation part (and the test part of sets without one); `seed` moves neither.
        seed: of order, augmentation and binarisation in training.
        flip: mirror half of the training images.
        shift: move training images by up to this fraction of the side, see `augment.shifted`.
        binarize: make images of 0 and 1 with the grey values as probabilities: afresh for every batch in training,
            once and for all (by split_seed) in validation and test. Needs levels=2.
        max_train: train on the first so many of the training examples alone; None: on all.
        size, channels, variant: for sets that come in several; what they mean stands with the set.
        device_resident: keep the training and evaluation examples on the trainer's device, and index and augment there.
        num_workers: processes that decode files, for sets that do not fit into memory; no more than there are cores.
        skip_bad: leave out pictures of a folder that cannot be read, instead of naming them and stopping.

    Raises:
        UserError: impossible values (at construction); files missing or damaged (when they are read).
    """

    def __init__(
        self,
        name: str,
        shape: Sequence[int],
        levels: int | None,
        num_classes: int | None,
        root: str | None,
        batch_size: int,
        validation: float | None,
        download: bool = False,
        split_seed: int = 0,
        seed: int = 0,
        flip: bool = False,
        shift: float = 0.0,
        binarize: bool = False,
        size: int | Sequence[int] | None = None,
        channels: int | None = None,
        variant: str | None = None,
        max_train: int | None = None,
        device_resident: bool = False,
        num_workers: int = 0,
        skip_bad: bool = False,
    ) -> None:
        super().__init__()
        if root is None:
            raise UserError(
                f"data.root is not set: name the folder of {name}'s files, e.g. data.root=/home/me/pictures."
            )
        folder = Path(root).expanduser()
        self.name, self.shape = name, tuple(shape)
        self.levels, self.num_classes = levels, num_classes
        self.batch_size, self.validation = batch_size, validation
        self.split_seed, self.seed = split_seed, seed
        self.binarize, self.max_train = binarize, max_train
        self.device_resident, self.num_workers = device_resident, num_workers
        self._download = download
        self.source = source_for(Options(name, folder, num_classes, size, channels, variant, split_seed, skip_bad))
        self._check(flip, shift)
        divisor = 1 if levels is None or binarize else (self.source.levels or 1) // levels
        self._train_transform = Augmentation(flip, shift, divisor, self.source.levels if binarize else None)
        self._eval_transform = Augmentation(divisor=divisor)
        self._parts: dict[str, Examples] = {}

    def prepare_data(self) -> None:
        """Download, if told to. Called on one process only."""
        if self._download:
            self.source.download()

    def setup(self, stage: str | None = None) -> None:
        """Read the parts that the stage ("fit", "validate", "test" or None for all) needs."""
        if stage in ("fit", "validate", None):
            self._read_train()
        if stage in ("test", None):
            self._read("test")

    def train_dataloader(self) -> BatchLoader:
        if "train" not in self._parts:
            self._read_train()
        return self._loader("train")

    def val_dataloader(self) -> BatchLoader:
        if "validation" not in self._parts:
            self._read_train()
        return self._loader("validation")

    def test_dataloader(self) -> BatchLoader:
        if "test" not in self._parts:
            self._read("test")
        return self._loader("test")

    def _read_train(self) -> None:
        if "train" in self._parts:
            return
        self._read("train")
        if self.source.own_validation:
            self._read("validation")
            return
        examples = self._parts["train"]
        assert self.validation is not None  # `_check` has seen to it
        count = int(self.validation if self.validation >= 1 else max(1, self.validation * len(examples)))
        if count >= len(examples):
            raise UserError(f"data.validation={count} leaves no training examples: {self.name} has {len(examples)}.")
        rest, held_out = hold_out(len(examples), count, "validation", self.split_seed)
        self._parts["validation"] = self._for_evaluation(examples.part(held_out), "validation")
        self._parts["train"] = examples.part(rest)

    def _read(self, part: str) -> None:
        examples = self.source.read(part)
        self._check_examples(examples, part)
        if self.num_classes is None:
            examples = Examples(examples.x, None, examples.rows)
        self._parts[part] = examples if part == "train" else self._for_evaluation(examples, part)

    def _for_evaluation(self, examples: Examples, part: str) -> Examples:
        """Binarised once, so that every evaluation of every run sees the same images."""
        if not self.binarize:
            return examples
        x, y = examples[torch.arange(len(examples))]
        assert self.source.levels is not None  # `_check` has seen to it
        return Examples(binarized(x, self.source.levels, generator_for(f"binarize {part}", self.split_seed)), y)

    def _loader(self, part: str) -> BatchLoader:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        if self.batch_size % world_size:
            raise UserError(
                f"data.batch_size={self.batch_size} cannot be divided among {world_size} devices: use a multiple of it."
            )
        training = part == "train"
        examples = self._on_device(part)
        if training and self.max_train is not None:
            examples = examples.part(torch.arange(min(self.max_train, len(examples))))
        if training and len(examples) < self.batch_size:
            raise UserError(
                f"data.batch_size={self.batch_size} is more than the {len(examples)} training examples of {self.name}."
            )
        sampler = EpochSampler(
            len(examples),
            self.batch_size // world_size,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
            shuffle=training,
        )
        transform = self._train_transform if training else self._eval_transform
        return BatchLoader(examples, sampler, transform, self.num_workers)

    def _on_device(self, part: str) -> Examples:
        if self.device_resident and self.trainer:
            self._parts[part] = self._parts[part].to(self.trainer.strategy.root_device)
        return self._parts[part]

    def _check(self, flip: bool, shift: float) -> None:
        """Values that are impossible for any files."""
        native = self.source.levels
        if self.batch_size < 1:
            raise UserError(f"data.batch_size={self.batch_size} must be positive.")
        if self.max_train is not None and self.max_train < 1:
            raise UserError(f"data.max_train={self.max_train} must be positive.")
        if self.num_workers < 0:
            raise UserError(f"data.num_workers={self.num_workers} must not be negative.")
        if min(self.seed, self.split_seed) < 0:
            raise UserError(f"seed={self.seed} and data.split_seed={self.split_seed} must not be negative.")
        if not 0 <= shift < 1:
            raise UserError(f"data.shift={shift} must be a fraction of the side, at least 0 and below 1.")
        if native is None and (flip or shift or self.binarize or self.levels is not None):
            raise UserError(f"{self.name} holds vectors: data.levels must be null, and flip, shift and binarize off.")
        if self.binarize and self.levels != 2:
            raise UserError(f"data.binarize=true makes images of two levels: set data.levels=2, not {self.levels}.")
        if native is not None and not self.binarize and self.levels not in _possible_levels(native):
            possible = ", ".join(map(str, _possible_levels(native)))
            raise UserError(f"data.levels={self.levels} is impossible for {self.name}: use {possible}.")
        if self.source.own_validation and self.validation is not None:
            raise UserError(f"{self.name} has a validation part of its own: data.validation must be null.")
        if not self.source.own_validation and (self.validation is None or self.validation <= 0):
            raise UserError(f"data.validation={self.validation} must say how many of {self.name}'s training examples.")

    def _check_examples(self, examples: Examples, part: str) -> None:
        """The files against the configuration, and what a user's own source gives against what it says."""
        if not isinstance(examples, Examples):
            raise UserError(
                f"{self.name}.read has to give genmodels.data.Examples, and gives a {type(examples).__name__}."
            )
        if not len(examples):
            raise UserError(f"{self.name} has no examples in {self.source.root.absolute()}.")
        if not examples.in_memory and (self.device_resident or self.binarize):
            raise UserError(f"{self.name} is read from disk: data.device_resident and data.binarize must be false.")
        x, y = examples[torch.arange(1)]
        dtype = torch.float32 if self.source.levels is None else torch.uint8
        if x.dtype is not dtype:
            raise UserError(f"{self.name} must give examples of {dtype}, and gives {x.dtype}.")
        if isinstance(examples.x, torch.Tensor):
            self._check_values(examples.x, part)
        if tuple(x.shape[1:]) != self.shape:
            raise UserError(f"data.shape={list(self.shape)} does not fit {self.name}, which has {list(x.shape[1:])}.")
        if examples.rows is not None and int(examples.rows.max()) >= len(examples.x):
            raise UserError(f"{self.name} has {len(examples.x)} examples, and its {part} part asks for more.")
        if self.num_classes is None:
            return
        if y is None or examples.y is None:
            raise UserError(f"{self.name} has no labels: data.num_classes must be null.")
        if len(examples.y) != len(examples.x):
            raise UserError(f"{self.name} gives {len(examples.x)} examples and {len(examples.y)} labels.")
        if examples.y.dtype is not torch.int64 or examples.y.dim() != 1 or int(examples.y.min()) < 0:
            raise UserError(f"{self.name} must give labels from 0 on, a vector of torch.int64.")
        if int(examples.y.max()) >= self.num_classes:
            raise UserError(f"data.num_classes={self.num_classes} is less than the classes of {self.name}.")

    def _check_values(self, x: torch.Tensor, part: str) -> None:
        """Rows are counted in what the source holds, before any validation part is taken from it."""
        levels = self.source.levels
        if levels is not None:
            if int(x.max()) >= levels:
                raise UserError(f"{self.name} must give values of 0 to {levels - 1} only, and gives others.")
            return
        fault = not_finite(x)
        if fault is not None:
            raise UserError(f"{self.name} must give finite numbers only: in its {part} part, {fault}.")
        fault = constant_column(x) if part == "train" else None
        if fault is not None:
            raise UserError(
                f"{self.name} cannot be fitted: in its train part, {fault}, so that no density has a largest "
                "likelihood; leave that column out."
            )


def _possible_levels(native: int) -> list[int]:
    """The set's own number of levels and, where they are bytes, the powers of two below it."""
    return [256, 128, 64, 32, 16, 8, 4, 2] if native == 256 else [native]
