"""Figures of samples through the front door, for families that have nothing in common but that they draw."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Done, run_program

from genmodels.config.compose import compose
from genmodels.evaluation.metrics import Likelihood
from genmodels.experiment import train

ALL = "metrics=[fid,kid,inception_score,precision_recall,nearest_neighbours]"
FEW = ("num_samples=50", "max_images=500")
TINY = ("trainer=cpu", "trainer.max_steps=20", "logger=csv", "callbacks.samples=null")

Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], empty_caches: Path) -> Run:
    return lambda *arguments: run_program("evaluate", *arguments, capture=capsys)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    made: dict[tuple[str, ...], Path] = {}

    def folder(*options: str) -> Path:
        if options not in made:
            made[options] = tmp_path_factory.mktemp("runs") / "run"
            train(compose([*TINY, *options]), made[options])
        return made[options]

    return folder


def figures(folder: Path) -> dict[str, dict[str, Any]]:
    kept = json.loads((folder / "metrics.json").read_text())
    # A GAN has no best checkpoint.
    return {key.removesuffix(" last.ckpt"): f for key, f in kept.items() if "num_samples" in f["protocol"]}


@pytest.mark.parametrize(
    "model",
    ["nice_small", *(pytest.param(name, marks=pytest.mark.slow) for name in ("vae_small", "made_image_small")), "gan"],
)
def test_a_flow_a_vae_an_autoregressive_model_and_a_gan(model: str, run: Run, trained: Callable[..., Path]) -> None:
    folder = trained(f"model={model}")
    done = run(f"run={folder}", ALL, "num_samples=60", "batch_size=50")
    assert done.code == 0, done.err
    found = figures(folder)
    names = ("fid", "kid", "inception_score", "precision", "nearest_neighbours")
    assert set(found) == {f"test/{name}_small N=60" for name in names}
    for figure in found.values():
        assert figure["weights"] in ("ema", "raw")
        assert figure["protocol"]["features"] == "small"
        assert "not with published ones" in figure["protocol"]["comparable"]
    assert found["test/fid_small N=60"]["protocol"]["num_real"] == 250
    assert found["test/fid_small N=60"]["mean"] > found["test/fid_small N=60"]["parts"]["real against real, 60 each"][0]
    assert "test/kid_small" in done.out
    assert "(estimate, 60 samples, 250 real, features small " in done.out
    assert (folder / "samples" / "nearest_neighbours_small.png").exists()


def test_numbers_of_samples_and_splits_stand_side_by_side(
    run: Run, trained: Callable[..., Path], empty_caches: Path
) -> None:
    folder = trained("model=nice_small")
    for more in ("num_samples=40", "num_samples=50", "split=train num_samples=40", "max_images=100 num_samples=40"):
        assert run(f"run={folder}", "metrics=[fid]", *more.split()).code == 0
    found = figures(folder)
    assert {key for key in found if "fid" in key} >= {
        "test/fid_small N=40",
        "test/fid_small N=50",
        "train/fid_small N=40",
        "test/fid_small N=40 first 100",
    }
    assert found["train/fid_small N=40"]["protocol"]["num_real"] == 1297
    # The test images, their first hundred, and those for training: each a file, whatever the number of samples.
    assert len(list((empty_caches / "genmodels" / "features").iterdir())) == 3


def test_the_same_figure_again_from_the_cache(run: Run, trained: Callable[..., Path], empty_caches: Path) -> None:
    folder = trained("model=nice_small")
    first, second = (run(f"run={folder}", "metrics=[fid,kid]", "num_samples=45").out for _ in range(2))
    assert first == second


def test_vectors_are_their_own_features(run: Run, trained: Callable[..., Path], empty_caches: Path) -> None:
    folder = trained("model=nice_small", "data=toy2d")
    done = run(f"run={folder}", "metrics=[fid,kid,precision_recall,nearest_neighbours]", *FEW)
    assert done.code == 0, done.err
    assert set(figures(folder)) == {
        f"test/{name}_vectors N=50 first 500" for name in ("frechet", "kid", "precision", "nearest_neighbours")
    }
    refused = run(f"run={folder}", "metrics=[inception_score]", *FEW)
    assert refused.mistake == "metrics=[inception_score] does not apply to NICE"
    assert not list(empty_caches.rglob("*.safetensors"))


def test_mistakes_are_told_before_anything_is_measured(
    run: Run, trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained("model=nice_small")
    monkeypatch.setattr(Likelihood, "measure", lambda *_: pytest.fail("measured first"))
    for arguments, sentence in (
        ("features=inception", "features=inception needs Inception's weights, which are not at"),
        ("features=tiny", "features=tiny does not exist"),
        ("num_samples=0", "num_samples must be at least 1, got 0"),
        ("features=my_package.Net", "add plugins=[my_package] on the command line"),
    ):
        done = run(f"run={folder}", "metrics=[likelihood,fid]", arguments)
        assert sentence in done.mistake
        assert done.out == ""
