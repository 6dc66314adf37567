from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from training_toys import DiagonalGaussian, digits, module, standard_callbacks, train, trainer

from genmodels.data import DataModule
from genmodels.pictures import save_grid
from genmodels.randomness import seed_for
from genmodels.training import Curves, Samples
from genmodels.training.callbacks.curves import draw_curves


def test_samples_follow_the_validations_with_averaged_weights(tmp_path: Path) -> None:
    train(tmp_path, max_epochs=4, extra=[Samples(n=6, every=2)])
    found = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert found == ["step_0000008.png", "step_0000016.png"]
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    model = DiagonalGaussian((1, 8, 8), 17)
    model.load_state_dict(last["callbacks"]["EMA"]["average"])
    torch.manual_seed(seed_for("samples", 0))
    save_grid(model.sample(6), 17, tmp_path / "expected.png")
    assert (tmp_path / "expected.png").read_bytes() == (tmp_path / "samples" / found[1]).read_bytes()


def test_a_resumed_run_counts_its_validations_on(tmp_path: Path) -> None:
    train(tmp_path, max_epochs=1, extra=[Samples(n=6, every=2)])
    train(tmp_path, resume=True, max_epochs=3, extra=[Samples(n=6, every=2)])
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["step_0000008.png"]


def test_pictures_do_not_change_the_run(tmp_path: Path) -> None:
    train(tmp_path / "with", max_epochs=2, extra=[Samples(n=12), Curves()])
    train(tmp_path / "without", max_epochs=2)
    states = [torch.load(tmp_path / n / "checkpoints" / "last.ckpt", weights_only=True) for n in ("with", "without")]
    assert torch.equal(states[0]["state_dict"]["model.loc"], states[1]["state_dict"]["model.loc"])


def test_fixed_noise(tmp_path: Path) -> None:
    """Weights that do not move give the same picture twice."""
    lightning = module(DiagonalGaussian((1, 8, 8), 17), lr=0.0)
    trainer(tmp_path, [Samples(n=12), *standard_callbacks()], max_epochs=2).fit(lightning, datamodule=digits())
    first, second = (path.read_bytes() for path in sorted((tmp_path / "samples").iterdir()))
    assert first == second


def test_points_are_scattered(tmp_path: Path) -> None:
    data = DataModule("moons", (2,), None, None, root="unused", batch_size=100, validation=0.1)
    lightning = module(DiagonalGaussian((2,), None))
    trainer(tmp_path, [Samples(), *standard_callbacks()], max_steps=5).fit(lightning, datamodule=data)
    picture = np.asarray(Image.open(tmp_path / "samples" / "step_0000005.png").convert("L"))
    assert (picture < 200).sum() > 1000


class Labels(DiagonalGaussian):
    """Class-conditional; remembers what it was asked to draw."""

    num_classes = 10
    asked: torch.Tensor

    def sample(self, n: int, y: torch.Tensor | None = None, temperature: float = 1.0) -> torch.Tensor:
        assert y is not None
        self.asked = y
        return super().sample(n, y, temperature)


def test_classes_take_turns(tmp_path: Path) -> None:
    model = Labels((1, 8, 8), 17)
    trainer(tmp_path, [Samples(n=12), *standard_callbacks()], max_steps=1).fit(module(model), datamodule=digits())
    assert model.asked.tolist() == [*range(10), 0, 1]
    width, height = Image.open(next((tmp_path / "samples").iterdir())).size
    assert (height, width) == (2 * 64 + 2, 10 * 64 + 9 * 2)  # a column each


def _shades(folder: Path) -> list[np.ndarray]:
    """Frames of the run's animation."""
    with Image.open(folder / "samples" / "training.gif") as gif:
        found = []
        for index in range(gif.n_frames):  # type: ignore[attr-defined]
            gif.seek(index)
            found.append(np.asarray(gif.convert("L")))
    return found


def test_the_pictures_of_a_run_become_an_animation(tmp_path: Path) -> None:
    """Those from before a resumption too."""
    train(tmp_path, max_epochs=2, extra=[Samples(n=4)])
    assert not (tmp_path / "samples" / "training.gif").exists()  # of two
    train(tmp_path, resume=True, max_epochs=4, extra=[Samples(n=4)])
    pictures = sorted((tmp_path / "samples").glob("step_*.png"))
    assert len(pictures) == 4
    for frame, picture in zip(_shades(tmp_path), pictures, strict=True):
        assert (frame == np.asarray(Image.open(picture))).all()


def test_no_animation_when_not_wanted(tmp_path: Path) -> None:
    train(tmp_path, max_epochs=3, extra=[Samples(n=4, gif=False)])
    assert {path.suffix for path in (tmp_path / "samples").iterdir()} == {".png"}


def test_an_animation_that_cannot_be_drawn_ends_no_run(tmp_path: Path) -> None:
    """A folder lies where it should."""
    (tmp_path / "samples" / "training.gif").mkdir(parents=True)
    with pytest.warns(UserWarning, match="samples could not be drawn"):
        fitted = train(tmp_path, max_epochs=3, extra=[Samples(n=4)])
    assert fitted.global_step == 12


class Looks(pl.Callback):
    """Keeps curves.png as it is after each validation."""

    def __init__(self) -> None:
        self.seen: list[bytes | None] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        picture = Path(trainer.default_root_dir) / "curves.png"
        self.seen.append(picture.read_bytes() if picture.exists() else None)


def test_curves_are_redrawn_after_a_validation_when_due_and_at_the_end(tmp_path: Path) -> None:
    eager, lazy = Looks(), Looks()
    train(tmp_path / "eager", max_epochs=2, extra=[Curves(every_seconds=0), eager])
    train(tmp_path / "lazy", max_epochs=2, extra=[Curves(every_seconds=3600), lazy])
    assert None not in eager.seen
    assert eager.seen[0] != eager.seen[1]
    assert lazy.seen == [None, None]
    assert (tmp_path / "lazy" / "curves.png").exists()


def test_curves_show_what_was_logged(tmp_path: Path) -> None:
    """The picture changes with each series, and only with those it shows."""
    base = {"train/nll": ([1, 2], [3.0, 2.0]), "val/nll": ([2], [2.5])}
    rows = {"train/learning_rate": ([1, 2], [0.1, 0.2]), "train/grad_norm": ([1, 2], [5.0, 1.0])}
    other = {"time/images_per_second": ([1, 2], [10.0, 20.0])}
    pictures = {}
    for name, series in (("base", base), ("other", base | other), ("rows", base | rows), ("less", {})):
        draw_curves(series, ["nll"], tmp_path / f"{name}.png")
        pictures[name] = (tmp_path / f"{name}.png").read_bytes()
    assert pictures["base"] == pictures["other"]
    assert len({pictures["base"], pictures["rows"], pictures["less"]}) == 3


def test_a_small_loss_is_readable_beside_a_large_one(tmp_path: Path) -> None:
    """Each fills the height of its own panel."""
    steps = list(range(1, 51))
    small, large = ([scale * (-1) ** step for step in steps] for scale in (0.01, 1000.0))
    draw_curves({"train/small": (steps, small), "train/large": (steps, large)}, ["small", "large"], tmp_path / "a.png")
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)
    blue = (picture[..., 2] - picture[..., 0] > 60).sum(axis=1) > 20  # rows that a zigzag crosses
    runs = np.flatnonzero(np.diff(np.r_[False, blue, False].astype(int))).reshape(-1, 2)
    heights = [end - start for start, end in runs if end - start > 50]
    assert len(heights) == 2
    assert heights[0] == pytest.approx(heights[1], rel=0.1)
