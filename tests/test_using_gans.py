"""What a user does with a trained generator: pictures of a run, truncation, walks between latents, classes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import Done, run_program
from offline_wandb import read
from PIL import Image

from genmodels.config.compose import compose
from genmodels.experiment import train
from genmodels.pictures import save_grid
from genmodels.randomness import seed_for
from genmodels.runs.finished_run import load_run

SHORT = ("trainer=cpu", "logger=csv", "data.batch_size=256", "evaluation.max_images=32")
Sample = Callable[..., Done]


@pytest.fixture
def sample(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Sample:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    return lambda *arguments: run_program("sample", *arguments, capture=capsys)


@pytest.fixture(scope="module")
def dcgan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With batch norm and averaged weights; three pictures, and wandb's file."""
    folder = tmp_path_factory.mktemp("dcgan") / "run"
    options = ("model.width=4", "callbacks.ema.decay=0.9", "optimizer.lr=0.01", "callbacks.samples.n=9")
    train(compose(["model=dcgan_small", *SHORT, *options, "logger=wandb", "trainer.max_epochs=3"]), folder)
    return folder


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conditional") / "run"
    options = ("model.width=8", "model.conditional=true", "trainer.max_steps=3")
    train(compose(["model=gan", *SHORT, *options]), folder)
    return folder


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flow") / "run"
    train(compose(["model=nice_small", "model.width=4", *SHORT, "trainer.max_steps=1"]), folder)
    return folder


def test_a_finished_run_draws_what_its_last_picture_shows(dcgan: Path, tmp_path: Path) -> None:
    """The same averaged weights, the same statistics of them."""
    run = load_run(dcgan)
    assert run.weights == "ema"
    torch.manual_seed(seed_for("samples", 0))
    save_grid(run.model.sample(9), 17, tmp_path / "again.png")  # type: ignore[operator]
    last = sorted((dcgan / "samples").glob("step_*.png"))[-1]
    assert (tmp_path / "again.png").read_bytes() == last.read_bytes()


def test_a_run_shows_its_pictures(dcgan: Path) -> None:
    with Image.open(dcgan / "samples" / "training.gif") as gif:
        assert gif.n_frames == 3  # type: ignore[attr-defined]
    (file,) = dcgan.glob("wandb/offline-run-*/*.wandb")
    logged = read(file)
    assert {"train/critic_loss", "train/generator_loss", "train/gap"} <= {
        name for row in logged.history for name in row
    }
    shown = {picture.read_bytes() for picture in file.parent.glob("files/media/images/*.png")}
    assert shown == {picture.read_bytes() for picture in (dcgan / "samples").glob("step_*.png")}
    assert len(shown) == 3


def _arrays(done: Done) -> dict[str, np.ndarray]:
    assert done.code == 0, done.err
    return dict(np.load(done.out.split()[1]))


def _size(done: Done) -> tuple[int, int]:
    """Rows and columns of the picture, whose tiles are 64 pixels."""
    width, height = Image.open(done.out.split()[0]).size
    return (height + 2) // 66, (width + 2) // 66


def test_a_row_for_each_truncation(sample: Sample, dcgan: Path, tmp_path: Path) -> None:
    """Of the same latents, and the picture that one value alone gives."""
    several = sample(f"run={dcgan}", "n=20", "truncation=[0.2,0.5,6]", f"out={tmp_path / 'several'}")
    rows = _arrays(several)["samples"].reshape(3, 6, 1, 8, 8)
    assert _size(several) == (3, 6)
    alone = _arrays(sample(f"run={dcgan}", "n=6", "truncation=0.5", f"out={tmp_path / 'alone'}"))["samples"]
    assert np.array_equal(rows[1], alone)
    whole = _arrays(sample(f"run={dcgan}", "n=6", f"out={tmp_path / 'whole'}"))["samples"]
    assert np.array_equal(rows[2], whole)  # no number is as far as 6
    spread = rows.astype(float).var(axis=1).mean(axis=(1, 2, 3))
    assert spread[0] < spread[1] < spread[2]


def test_files_are_named_by_the_truncation(sample: Sample, dcgan: Path) -> None:
    paths = sample(f"run={dcgan}", "n=4", "truncation=[0.5,1]").out.split()
    assert [Path(path).name for path in paths] == [
        f"sample_n4_t1_truncation0.5-1_seed0.{kind}" for kind in ("png", "npz")
    ]


def test_truncation_out_of_place(sample: Sample, dcgan: Path, flow: Path) -> None:
    told = sample(f"run={flow}", "truncation=0.5").mistake
    assert told.startswith("truncation=0.5 needs a model that can be drawn from with truncation")
    assert told.endswith("and NICE is none")
    run = f"run={dcgan}"
    assert sample(run, "truncation=[1,0]").mistake == "truncation must be at least 0.001, got 0"
    assert sample(run, "truncation=[]").mistake.startswith("truncation=[] holds no value")
    for other in ("interpolate=true", "complete=top_half"):
        assert sample(run, "truncation=1", other).mistake.startswith("truncation=1 does nothing beside ")


def test_walks_lead_from_one_drawn_latent_to_another(sample: Sample, dcgan: Path) -> None:
    done = sample(f"run={dcgan}", "n=16", "interpolate=true", "batch_size=5")
    walks = _arrays(done)["samples"].reshape(2, 8, 64)
    assert _size(done) == (2, 8)
    model = load_run(dcgan).model
    torch.manual_seed(seed_for("interpolate", 0))
    z = model.latents(4)  # type: ignore[operator]
    ends = model.decode(z).numpy().reshape(4, 64)  # type: ignore[operator]
    assert np.array_equal(walks[:, 0], ends[:2])
    assert np.array_equal(walks[:, -1], ends[2:])
    angle = torch.nn.functional.cosine_similarity(z[0], z[2], dim=0).acos()
    third = ((5 / 7 * angle).sin() * z[0] + (2 / 7 * angle).sin() * z[2]) / angle.sin()
    assert abs(walks[0, 2].astype(int) - model.decode(third[None]).numpy().reshape(64).astype(int)).max() <= 1  # type: ignore[operator]


def test_a_walk_keeps_to_its_class(sample: Sample, conditional: Path) -> None:
    run = (f"run={conditional}", "interpolate=true", "n=24")
    every = _arrays(sample(*run))
    assert every["labels"].reshape(3, 8).tolist() == [[label] * 8 for label in (0, 1, 2)]
    chosen = _arrays(sample(*run, "labels=[7,4]"))
    assert chosen["labels"].reshape(3, 8).tolist() == [[label] * 8 for label in (7, 4, 7)]
    assert not np.array_equal(every["samples"], chosen["samples"])


def test_walks_between_test_images_have_their_classes(sample: Sample, flow: Path) -> None:
    assert sample(f"run={flow}", "interpolate=true", "labels=3").mistake.startswith(
        "labels=3: walks between test images"
    )


@pytest.mark.parametrize(
    ("labels", "n", "size", "classes"),
    [
        ("null", 30, (3, 10), list(range(10)) * 3),
        ("[3,5]", 16, (4, 4), [3, 5] * 8),
        ("6", 16, (4, 4), [6] * 16),
    ],
)
def test_a_class_grid(
    sample: Sample, conditional: Path, labels: str, n: int, size: tuple[int, int], classes: list[int]
) -> None:
    done = sample(f"run={conditional}", f"n={n}", f"labels={labels}")
    assert _size(done) == size
    assert _arrays(done)["labels"].tolist() == classes


def test_classes_under_truncation_are_the_same_in_every_row(sample: Sample, conditional: Path) -> None:
    drawn = _arrays(sample(f"run={conditional}", "n=40", "truncation=[0.5,1]"))
    assert drawn["labels"].tolist() == list(range(10)) * 4
