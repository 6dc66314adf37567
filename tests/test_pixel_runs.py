"""Runs of autoregressive models through the front doors: sample in three ways, complete, evaluate."""

from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import run_program

from genmodels.config.compose import compose
from genmodels.config.targets import build
from genmodels.evaluation.completion import complete
from genmodels.evaluation.sampling import draw
from genmodels.evaluation.setting import Setting
from genmodels.experiment import train
from genmodels.runs.finished_run import Run, load_run

TINY = (
    "model=pixelcnn_small",
    "model.num_layers=1",
    "model.width=8",
    "model.output_width=8",
    "trainer=cpu",
    "trainer.max_steps=20",
    "logger=csv",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pixels") / "run"
    train(compose(TINY), folder)
    return folder


def _samples(finished: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> np.ndarray:
    picture, arrays = run_program("sample", f"run={finished}", "seed=3", *arguments, capture=capsys).out.split()
    assert Path(picture).suffix == ".png"
    return np.load(arrays)["samples"]


def test_the_way_to_sample_does_not_change_the_picture(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cached = _samples(finished, capsys, "n=12", "batch_size=5")
    assert cached.shape == (12, 1, 8, 8)
    assert cached.dtype == np.uint8
    for method in ("naive", "jacobi"):
        other = _samples(finished, capsys, "n=12", "batch_size=5", f"method={method}")
        # Rounding may move single draws across the border between two values, and what follows with them.
        assert (other == cached).all(axis=(1, 2, 3)).mean() > 0.8


def test_completions_keep_the_top_half_of_test_images(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = _samples(finished, capsys, "n=24", "complete=top_half").reshape(3, 8, 8, 8)
    test = torch.cat([x for x, _ in build(load_run(finished).config["data"], "data").test_dataloader()])
    for row in pictures:
        assert (test.flatten(1).numpy() == row[0].flatten()).all(axis=1).any()
        assert (row[:, :4] == row[0, :4]).all()
        assert len({drawn.tobytes() for drawn in row[1:, 4:]}) > 1
        assert not any(np.array_equal(drawn[4:], row[0, 4:]) for drawn in row[1:])


def test_only_what_is_drawn_first_can_be_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(compose(["model=nice_small", "model.width=4", "trainer=cpu", "trainer.max_steps=1", "logger=csv"]), tmp_path)
    said = run_program("sample", f"run={tmp_path}", "complete=top_half", capture=capsys).mistake
    assert said == "complete=top_half needs an autoregressive model of images (order, sample), and NICE is none"


def test_a_part_that_is_drawn_among_the_rest_cannot_be_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = ("model=multiscale_pixelcnn_small", "model.width=4", "model.num_blocks=1", "model.base_layers=1")
    train(compose([*tiny, "trainer=cpu", "trainer.max_steps=1", "logger=csv"]), tmp_path)
    said = run_program("sample", f"run={tmp_path}", "complete=top_half", capture=capsys).mistake
    assert "MultiscalePixelCNN draws pixels in another order" in said


@pytest.fixture(scope="module")
def by_class(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A model whose samples at temperature 0 are one picture for each class."""
    folder = tmp_path_factory.mktemp("by_class") / "run"
    tiny = ("model=gated_pixelcnn_small", "model.conditional=true", "model.num_layers=2", *TINY[2:])
    train(compose([*tiny, "trainer.max_steps=1"]), folder)
    run = load_run(folder)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.normal_()
    return run


def test_samples_take_the_classes_in_turn_and_the_temperature(by_class: Run, tmp_path: Path) -> None:
    _, arrays = draw(Setting(by_class, batch_size=5, out=str(tmp_path / "drawn")), n=12, temperature=0.0)
    drawn, labels = (np.load(arrays)[key] for key in ("samples", "labels"))
    assert labels.tolist() == [*range(10), 0, 1]
    expected = by_class.model.sample(10, torch.arange(10), temperature=0.0).numpy()
    assert len({picture.tobytes() for picture in expected}) == 10
    assert (drawn == expected[labels]).all()


def test_completions_take_the_class_of_the_image_and_the_temperature(by_class: Run, tmp_path: Path) -> None:
    _, arrays = complete(Setting(by_class, out=str(tmp_path / "drawn")), "top_half", n=24, temperature=0.0)
    drawn, labels = (torch.from_numpy(np.load(arrays)[key]) for key in ("samples", "labels"))
    known = (torch.arange(8) < 4)[:, None].expand(8, 8)
    expected = by_class.model.sample(24, labels, temperature=0.0, given=drawn, known=known)
    completed = torch.arange(24) % 8 > 0
    assert torch.equal(drawn[completed], expected[completed])


def test_completions_follow_the_seed(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, again, other = (
        _samples(finished, capsys, "n=8", "complete=top_half", f"out={finished}/{name}", f"seed={seed}")
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert (first == again).all()
    assert (first[1:, :, 4:] != other[1:, :, 4:]).any()


def test_the_likelihood_is_reported_as_exact(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run_program("evaluate", f"run={finished}", "importance_samples=8", "max_images=30", capture=capsys).out
    assert "exact" in out
