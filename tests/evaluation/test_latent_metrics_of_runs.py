"""Figures and pictures of a trained VAE's latents, through the front doors."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from command_line import ROOT, Done, run_program

from genmodels.config.compose import compose
from genmodels.experiment import train
from genmodels.runs.finished_run import load_run

Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return lambda name, *arguments: run_program(name, *arguments, capture=capsys)


def vae(folder: Path, num_latents: int) -> Path:
    tiny = ["model=vae_small", "trainer=cpu", "trainer.max_steps=30", "logger=csv", "callbacks.samples=null"]
    train(compose([*tiny, f"model.posterior.num_latents={num_latents}"]), folder)
    return folder


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vae(tmp_path_factory.mktemp("plane") / "run", 2)


@pytest.fixture
def table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("elbo_surgery", ROOT / "experiments" / "elbo_surgery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_of_them_are_measured_and_kept(run: Run, plane: Path) -> None:
    names = ("reconstruction", "active_units", "elbo_surgery", "latent_traversal", "latent_map")
    done = run("evaluate", f"run={plane}", f"metrics=[{','.join(names)}]", "importance_samples=2")
    assert done.code == 0, done.err
    figures = json.loads((plane / "metrics.json").read_text())
    found = {
        key: (figure["split"], figure["num_examples"]) for key, figure in figures.items() if "bits_per_dim" not in key
    }
    size = figures["train/elbo_surgery"]["protocol"]["aggregate_over"]
    assert found == {
        "test/reconstruction K=2": ("test", 250),
        "test/active_units": ("test", 250),
        "train/elbo_surgery": ("train", size),
        "test/latent_traversal": ("test", 250),
        "test/latent_map": ("test", 250),
    }
    assert size == len(load_run_data(plane))
    pictures = [picture for figure in figures.values() for picture in figure["pictures"]]
    assert len(pictures) == 5
    for picture in pictures:
        assert Path(picture).parent == plane / "samples"
        assert f"picture {picture}" in done.out
    assert "  mutual information" in done.out


def load_run_data(folder: Path) -> list:
    """All training examples of a run."""
    from genmodels.evaluation.setting import Setting

    return [x for batch, _ in Setting(load_run(folder)).training_set(100) for x in batch]


def test_none_of_them_is_measured_unasked(run: Run, plane: Path) -> None:
    assert run("evaluate", f"run={plane}", "max_images=10").out.count("weights of step") == 1


def test_a_map_of_eight_latents_is_refused(run: Run, tmp_path: Path) -> None:
    done = run("evaluate", f"run={vae(tmp_path / 'run', 8)}", "metrics=[latent_map]")
    assert done.mistake == (
        "metrics=[latent_map] draws a plane, and the model has 8 latents: train one with model.posterior.num_latents=2"
    )


def test_the_table_puts_what_was_measured_above_what_was_published(plane: Path, table: ModuleType) -> None:
    row = table.row(load_run(plane))
    parts, figure = row["figure"]["parts"], row["figure"]
    assert (row["latents"], row["data"], row["steps"], figure["split"]) == (2, "digits", 30, "train")
    lines = table.in_markdown([row]).splitlines()
    columns = [cell.strip() for cell in lines[2].split("|")[3:-1]]
    measured, published = ([cell.strip() for cell in line.split("|")[2:-1]] for line in lines[4:6])
    assert columns == ["ELBO", "average KL", "mutual information", "marginal KL", "log N"]
    cells = [(figure["mean"], figure["standard_error"]), *(parts[column] for column in columns[1:4])]
    assert measured == ["measured", *(f"{mean:.2f} ± {error:.2f}" for mean, error in cells), f"{parts['log N'][0]:.2f}"]
    assert published == ["published", "-129.63", "7.41", "7.20", "0.21", "11.00"]


@pytest.mark.parametrize("latents", [2, 10, 20])
def test_the_recipes_and_the_table_have_the_same_published_figures(latents: int, table: ModuleType) -> None:
    config = compose([f"experiment=elbo_surgery_{latents}"])
    elbo, average, information, marginal, _ = map(float, table.PUBLISHED[latents])
    assert config["published"]["value"] == elbo
    assert config["model"]["posterior"]["num_latents"] == latents
    assert config["model"]["likelihood"]["_target_"] == "genmodels.distributions.Bernoulli"
    assert average == pytest.approx(information + marginal, abs=0.011)
