"""The gallery: what it trains, that it goes on where it stopped, and what its pictures and tables say."""

import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import genmodels
from genmodels import models
from genmodels.config.compose import compose
from genmodels.data.sources.toy2d import DENSITIES
from genmodels.distributions import StandardNormal, fitting_likelihood
from genmodels.errors import UserError
from genmodels.models import GMM, VAE, Diagonal, Model
from genmodels.models.vaes.networks import MLPNetworks
from genmodels.runs.finished_run import load_run

FOLDER = Path(__file__).parents[2] / "experiments"
OTHERS = {"Flow", "PlanarFlow", "RadialFlow", "TwoLayerVAE", "HVAE"}
"""No model of its own; slow to score points of the data (the next two); layers more of what `vae` shows."""


@pytest.fixture(autouse=True)
def _experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def module(name: str = "gallery") -> ModuleType:
    return importlib.import_module(name)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the script; returns exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gallery.py", *arguments])
        with pytest.raises(SystemExit) as end:
            module().main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return call


def test_every_density_of_vectors_has_a_recipe() -> None:
    shown = {compose([f"experiment=gallery_{name}"])["model"]["_target_"] for name in module().RECIPES}
    offer = {
        name
        for name, kind in vars(models).items()
        if isinstance(kind, type) and issubclass(kind, Model) and "vectors" in kind.takes and hasattr(kind, "log_prob")
    }
    of_both = {"models.GMM", "models.MAF", "models.CNF", "models.VAE"}
    assert {f"genmodels.{name}" for name in of_both} <= shown
    assert {name.rpartition(".")[2] for name in shown} == offer - OTHERS


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sets=[moon]"], "sets=moon does not exist: did you mean moons?"),
        (["sets=[]"], "sets must be a list of names, sets=[first,second], got []"),
        (["budget=huge"], "budget=huge does not exist: there is laptop, smoke"),
        (["steps=0"], "steps must be a whole number of at least 1, got 0"),
        (["models=[gan]"], "models=[gan] needs a model with a density (exact, log_prob), and GAN is none"),
        (["models=[pixelcnn_small]"], "PixelCNN is a model of images"),
        (["models=[maff]"], "maff"),
        (["models=[gmm]", "model.num_componets=3"], "num_componets"),
        (["models=[gmm]", "optimizer.lr=-1"], "optimizer.lr"),
        (["models=[gmm"], "cannot read 'models=[gmm'"),
    ],
)
def test_a_mistake_is_a_sentence_and_nothing_is_trained(
    arguments: list[str], sentence: str, run: Run, tmp_path: Path
) -> None:
    code, out, err = run(*arguments, f"out={tmp_path / 'gallery'}")
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "gallery").exists()


def test_it_goes_on_where_it_stopped(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ["models=[gmm]", "sets=[ring]", "steps=400", "callbacks.checkpoints.every_n_steps=10"]
    assert run(*whole, f"out={tmp_path / 'once'}")[0] == 0
    cell = tmp_path / "twice" / "gmm" / "ring"
    watcher = threading.Thread(target=_interrupt_after, args=(cell / "checkpoints" / "last.ckpt",))
    watcher.start()
    code, _, err = run(*whole, f"out={tmp_path / 'twice'}")
    watcher.join()
    assert (code, err) == (130, "interrupted: the same command goes on from here\n")
    record = json.loads((cell / "run.json").read_text())
    assert record["status"] == "interrupted"
    assert len(record["cpu_seconds"]) == 1
    begun: list[Any] = []
    with monkeypatch.context() as patch:
        train = genmodels.train
        patch.setattr(genmodels, "train", lambda what, *rest: (begun.append(what), train(what, *rest))[1])
        code, out, _ = run(*whole, f"out={tmp_path / 'twice'}")
    assert (code, begun) == (0, [[f"resume={cell}"]])  # and not from the beginning, which would end the same
    assert "[1/1] gmm on ring" in out
    once, twice = (load_run(tmp_path / out / "gmm" / "ring") for out in ("once", "twice"))
    assert once.step == twice.step == 400
    for name, value in once.model.state_dict().items():
        assert torch.equal(value, twice.model.state_dict()[name]), name
    rows = json.loads((tmp_path / "twice" / "gallery.json").read_text())["rows"]
    parts = json.loads((cell / "run.json").read_text())["cpu_seconds"]
    assert len(parts) == 2
    assert rows[0]["cpu_seconds"] == pytest.approx(sum(parts), abs=0.06)

    checkpoint = (cell / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    for other in ("steps=2", "seed=1", "model.num_components=9"):
        code, _, err = run(*whole, other, f"out={tmp_path / 'twice'}")
        assert (code, "twice/gmm/ring holds a run of other settings" in err) == (2, True)
    code, out, _ = run(*whole, f"out={tmp_path / 'twice'}")
    assert (code, out.splitlines()[0]) == (0, "1 of 1 runs are finished already")
    assert (cell / "checkpoints" / "last.ckpt").stat().st_mtime_ns == checkpoint


def _interrupt_after(file: Path) -> None:
    for _ in range(1200):
        if file.exists():
            os.kill(os.getpid(), signal.SIGINT)
            return
        time.sleep(0.05)


def test_a_run_that_fails_leaves_the_others(run: Run, tmp_path: Path) -> None:
    """A NaN on one set: nothing that a look at the configuration could tell."""
    code, out, err = run("models=[made,gmm]", "sets=[moons]", "steps=5", "optimizer.lr=1e30", f"out={tmp_path}")
    assert code == 1
    assert "failed: Training stopped at step" in err
    assert "made on moons failed: Training stopped" in out
    content = json.loads((tmp_path / "gallery.json").read_text())
    assert content["budget"] == "5 steps"
    assert content["failed"][0][:2] == ["made", "moons"]


def test_a_smoke_run_of_any_model_says_that_it_is_one(run: Run, tmp_path: Path) -> None:
    """A model without a recipe of its own, and two pictures of the right number of panels."""
    code, out, _ = run(
        "budget=smoke", "models=[gmm,nice_small]", "sets=[moons,ring]", f"out={tmp_path}", "model.seed=0"
    )
    assert code == 2
    code, out, _ = run("budget=smoke", "models=[gmm,nice_small]", "sets=[moons,ring]", f"out={tmp_path}")
    assert code == 0
    assert "(budget: smoke; not what the models can do)" in out
    assert load_run(tmp_path / "nice_small" / "ring").config["model"]["prior"] == "normal"
    assert {file.name for file in tmp_path.glob("*.png")} == {
        "gallery.png",
        "gallery_gmm.png",
        "gallery_nice_small.png",
    }
    content = json.loads((tmp_path / "gallery.json").read_text())
    (moons, ring), rows = content["own"], content["rows"]
    assert moons["nats"] == pytest.approx(2.388, abs=0.02)
    assert ring["nats"] == pytest.approx(np.log(8) + np.log(2 * np.pi * np.e * 0.02**2), abs=0.04)
    assert [(r["model"], r["data"], r["steps"]) for r in rows] == [
        (model, data, 50) for data in ("moons", "ring") for model in ("gmm", "nice_small")
    ]
    figures = json.loads((tmp_path / "gmm" / "ring" / "metrics.json").read_text())
    assert rows[2]["nats"] == figures["test/nll K=1"]["mean"]


def test_the_density_lies_where_the_data_do() -> None:
    model = GMM([2], None, num_components=1)
    with torch.no_grad():
        model.mixture.means.copy_(torch.tensor([[1.0, -2.0]]))
        model.mixture.log_scales.fill_(np.log(0.5))
    pictures = module("gallery_pictures")
    density = pictures.density_on_square(model)
    axis = np.linspace(-pictures.SIDE, pictures.SIDE, pictures.CELLS)
    row, column = np.unravel_index(int(density.argmax()), density.shape)
    assert (axis[column], axis[row]) == (pytest.approx(1.0), pytest.approx(-2.0))
    assert float(density.detach().sum()) * (axis[1] - axis[0]) ** 2 == pytest.approx(1.0, abs=1e-3)


def test_the_density_of_a_vae_is_the_mean_of_its_weights() -> None:
    torch.manual_seed(0)
    networks = MLPNetworks(8, 1, "tanh")
    model = VAE((2,), None, networks, Diagonal(2), StandardNormal((2,)), fitting_likelihood((2,), None)).eval()
    pictures = module("gallery_pictures")
    with torch.no_grad():
        density = pictures.density_on_square(model)
    cell = (2 * pictures.SIDE / (pictures.CELLS - 1)) ** 2
    inside = (model.sample(20_000).abs() < pictures.SIDE).all(dim=1).double().mean()
    assert float(density.sum()) * cell == pytest.approx(float(inside), abs=0.02)


def _row(model: str, data: str, nats: float, **others: Any) -> dict[str, Any]:
    rest = {"standard_error": 0.007, "kind": "exact", "importance_samples": 1, "points": 10_000, "steps": 2000}
    rest |= {"batch_size": 256, "seed": 0, "parameters": 1234, "cpu_seconds": 30.0, "weights_of_step": 2000}
    return {"model": model, "data": data, "nats": nats, **rest, **others}


def test_the_table() -> None:
    rows = [
        _row("maf", "moons", 2.4),
        _row("maf", "ring", -2.9, cpu_seconds=36.0),
        _row("vae", "moons", 2.5, kind="bound", cpu_seconds=None),
    ]
    own = [_row("the data's own", name, nats) for name, nats in (("moons", 2.388), ("ring", -2.907))]
    table = module("gallery_tables").in_markdown(rows, own, "laptop", {("vae", "ring"): "it diverged"})
    lines = table.splitlines()
    assert lines[0] == "# Densities in the plane"
    first = lines.index("| the data's own | 2.388 ± 0.007 | -2.907 ± 0.007 |")
    assert lines[first + 1] == "| maf | 2.400 ± 0.007 | -2.900 ± 0.007 |"
    assert "| vae | ≤ 2.500 ± 0.007 |  |" in lines
    assert "| maf | 1,234 | 2,000 | 256 | 33 |" in lines
    assert "| vae | 1,234 | 2,000 | 256 | ? |" in lines
    assert "3 runs, 1.1 CPU minutes, test scores included." in lines
    assert lines[-1] == "- vae on ring failed: it diverged"


def test_all_sets_are_shown_by_default() -> None:
    asked = module().asked_by(["optimizer.lr=0.1", "models=maf"])
    assert (asked.models, asked.sets, asked.steps) == (("maf",), tuple(DENSITIES), None)
    assert (asked.overrides, asked.out) == (("optimizer.lr=0.1",), Path("outputs/gallery"))
    assert module().asked_by(["budget=smoke"]).out == Path("outputs/gallery_smoke")
    assert module().asked_by(["budget=smoke", "steps=7"]).steps == 7
    with pytest.raises(UserError, match="steps must be a whole number"):
        module().asked_by(["steps=1.5"])
