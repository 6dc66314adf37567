"""A finished run's data and noise."""

from pathlib import Path

import pytest
import torch

from genmodels.config.compose import compose
from genmodels.config.targets import build
from genmodels.errors import UserError
from genmodels.evaluation.setting import Setting
from genmodels.memory import installed_memory
from genmodels.runs.finished_run import Run
from genmodels.runs.folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Of a small model that was trained on mirrored and shifted digits."""
    config = compose(["model=nice_small", "model.width=4", "data.flip=true", "data.shift=0.2"])
    model = build(config["model"], "model").eval()
    return Run(RunFolder(tmp_path), config, model, "raw", tmp_path / "last.ckpt", 1)


def test_nothing_is_augmented(run: Run) -> None:
    loader = Setting(run).batches("train", 64)
    raw = {x.numpy().tobytes() for x in loader.examples[torch.arange(len(loader.examples))][0]}
    seen = [x.numpy().tobytes() for batch, _ in loader for x in batch]
    assert len(seen) > 1000
    assert set(seen) <= raw


def test_the_training_set_is_whole(run: Run) -> None:
    """Also what does not fill a batch, and the same in every pass."""
    setting = Setting(run)
    x = torch.cat([x for x, _ in setting.training_set(64)])
    every = setting.data(64)
    every.setup("fit")
    examples = every.train_dataloader().examples
    assert len(examples) % 64
    assert torch.equal(x, examples[torch.arange(len(examples))][0])


def test_random_binarisation_of_the_training_set_is_the_same_in_every_pass(run: Run) -> None:
    run.config["data"].update(levels=2, binarize=True)
    loader = Setting(run).training_set(100)
    first, again = (torch.cat([x for x, _ in loader]) for _ in range(2))
    assert torch.equal(first, again)
    assert first.unique().tolist() == [0, 1]


def test_test_images_are_drawn_by_the_seed(run: Run) -> None:
    first, again, other = (Setting(run, seed=seed).random_test_examples(20)[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_noise_is_a_function_of_purpose_and_seed(run: Run) -> None:
    drawn = []
    for seed, purpose in ((0, "sample"), (0, "sample"), (1, "sample"), (0, "complete")):
        with Setting(run, seed=seed).noise(purpose):
            drawn.append(torch.rand(()).item())
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3


def test_what_memory_cannot_hold_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 bytes of a picture of digits, 1 MiB of memory: 16,384 of them fit."""
    monkeypatch.setattr("genmodels.memory.installed_memory", lambda: 2.0**20)
    Setting(run).hold(num_samples=16_384)
    with pytest.raises(UserError, match=r"^num_samples=16385 does not fit into memory: so many of shape"):
        Setting(run).hold(num_samples=16_385)
    with pytest.raises(UserError, match=r"^num_samples must be at least 1, got 0$"):
        Setting(run).hold(num_samples=0)
    assert installed_memory() > 2**20
