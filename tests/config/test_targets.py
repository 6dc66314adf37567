"""A config is data: whatever it names, only what belongs in a place is built there."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import yaml
from command_line import ROOT, Done, run_program
from torch import nn
from torch.optim import Adam

from genmodels.config.checks import check
from genmodels.config.compose import compose
from genmodels.config.targets import build, place_of, resolve
from genmodels.errors import UserError
from genmodels.experiment import train
from genmodels.models import Flow, Glow
from genmodels.runs.finished_run import load_run
from genmodels.runs.folder import RunFolder
from genmodels.training import EMA, constant

OLD_RUN = ROOT / "tests" / "runs" / "old_run"

Node = dict[str, Any]
Front = Callable[..., Done]


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A run folder of somebody else's."""
    folder = tmp_path / "run"
    shutil.copytree(OLD_RUN, folder)
    return folder


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Front:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    return lambda name, *arguments: run_program(name, *arguments, capture=capsys)


def _change(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = folder / "config.yaml"
    config = yaml.safe_load(file.read_text())
    change(config)
    file.write_text(yaml.safe_dump(config))


def _put(config: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
    config[last] = value


def _exploits(marker: Path) -> dict[str, Node]:
    """Nodes that touch `marker` where they are built, by any of the ways that a list of prefixes lets through."""
    command = f"touch {marker}"
    by_cli = {"args": command, "init": {"class_path": "os.system"}}
    return {
        "cli": {"_target_": "pytorch_lightning.cli.instantiate_class", **by_cli},
        "cli, partial": {"_target_": "pytorch_lightning.cli.instantiate_class", "_partial_": True, **by_cli},
        "os": {"_target_": "os.system", "command": command},
        "re-exported": {"_target_": "genmodels.runs.provenance.subprocess.run", "args": ["touch", str(marker)]},
        "room": {"_target_": "genmodels.models.subprocess.run", "args": ["touch", str(marker)]},
        "partial": {"_target_": "functools.partial", "func": {"_target_": "os.system", "command": command}},
        "eval": {"_target_": "builtins.eval", "source": f"open({str(marker)!r}, 'w')"},
        "pathlib": {"_target_": "pathlib.Path.touch", "self": str(marker)},
        "hub": {"_target_": "torch.hub.load", "repo_or_dir": str(marker.parent), "source": "local", "model": "touch"},
        "load": {"_target_": "torch.load", "f": str(marker), "weights_only": False},
        "lambda": {"_target_": "torch.optim.lr_scheduler.LambdaLR", "lr_lambda": "os.system"},
        "matplotlib": {"_target_": "genmodels.training.callbacks.curves.FigureCanvasAgg", "figure": str(marker)},
        "reader": {"_target_": "genmodels.training.read_checkpoint", "path": str(marker)},
        "writer": {"_target_": "pytorch_lightning.callbacks.ModelCheckpoint", "dirpath": str(marker)},
        "csv logger": {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": str(marker)},
        "positional": {"_target_": "genmodels.models.Glow", "_args_": [command]},
        "wrong kind": {"_target_": "genmodels.data.BatchLoader"},
        "no text": {"_target_": ["os.system"]},
        "own, not offered": {"_target_": "genmodels.training.quieten"},
        "a lie": {"_target_": "os.system\nmodel is fine", "command": command},
    }


KINDS = sorted(_exploits(Path("marker")))
PLACES = (
    "model",
    "objective",
    "optimizer",
    "optimizers.other",
    "scheduler",
    "data",
    "trainer",
    "logger",
    "callbacks.ema",
    "callbacks.new",
    "model.dequantization",
    "model.width",
    "data.root",
    "trainer.strategy",
    "trainer.profiler",
    "trainer.max_time.days",
    "optimizer.lr",
    "evaluation",
    "evaluation.batch_size",
    "callbacks",
    "callbacks.progress.console",
    "callbacks.ema.decay",
    "seed",
    "new",
)


@pytest.mark.parametrize("place", PLACES)
def test_nothing_of_a_strangers_is_run(stranger: Path, tmp_path: Path, place: str) -> None:
    """By loading the run, which builds its model, and by resuming, which builds all."""
    marker = tmp_path / "marker"
    (tmp_path / "hubconf.py").write_text(f"open({str(marker)!r}, 'w')\ndef touch(): pass\n")
    saved = (stranger / "config.yaml").read_text()
    ours = {"resume": str(stranger)}
    for kind, node in _exploits(marker).items():
        (stranger / "config.yaml").write_text(saved)
        _change(stranger, lambda config, node=node: _put(config, place, node))
        before = sorted(tmp_path.rglob("*"))
        for use in (lambda: load_run(stranger), lambda: train(ours, "new", ["trainer.max_steps=50"])):
            with pytest.raises(UserError) as caught:
                use()
            assert place in str(caught.value).splitlines()[0], (kind, str(caught.value))
        assert not marker.exists(), kind
        assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("place", ["model", "optimizer", "callbacks.ema", "objective", "scheduler", "logger", "data"])
def test_nor_through_the_front_doors(stranger: Path, front: Front, tmp_path: Path, place: str) -> None:
    node = _exploits(tmp_path / "marker")["cli"]
    _change(stranger, lambda config: _put(config, place, node))
    before = sorted(tmp_path.rglob("*"))
    for program, arguments in (
        ("evaluate", [f"run={stranger}"]),
        ("sample", [f"run={stranger}"]),
        ("train", [f"resume={stranger}", "trainer.max_steps=50"]),
    ):
        told = front(program, *arguments).mistake
        assert told.startswith(f"{place}._target_=pytorch_lightning.cli.instantiate_class is not allowed: only a ")
        assert "\n" not in told
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["model", "objective", "optimizer", "scheduler", "data", "trainer", "logger"])
def test_building_alone_refuses_it_too(tmp_path: Path, place: str, kind: str) -> None:
    node = _exploits(tmp_path / "marker")[kind]
    with pytest.raises(UserError):
        build(node, place)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("key", ["_args_", "_recursive_", "_convert_", "_mode_"])
def test_a_node_is_not_steered(key: str) -> None:
    config = compose()
    config["model"][key] = True
    with pytest.raises(UserError, match=f"^model.{key} is not allowed"):
        check(config)


@pytest.mark.parametrize(("place", "value"), [("model", True), ("optimizer", False), ("callbacks.ema", True)])
def test_the_place_says_whether_arguments_are_still_to_come(place: str, value: bool) -> None:
    config = compose()
    _put(config, f"{place}._partial_", value)
    with pytest.raises(UserError, match=f"^{place}._partial_ is not to be changed"):
        check(config)


def test_an_optimizer_may_leave_partial_out() -> None:
    assert isinstance(build({"_target_": "torch.optim.Adam"}, "optimizer")([nn.Parameter()]), Adam)


@pytest.mark.parametrize(
    ("target", "path", "found"),
    [
        ("genmodels.models.Glow", "model", Glow),
        ("genmodels.models.glow.Glow", "model", Glow),
        ("genmodels.models.flow.Flow", "model", Flow),
        ("genmodels.training.ema.EMA", "callbacks.anything", EMA),
        ("genmodels.training.schedules.constant", "scheduler", constant),
        ("pytorch_lightning.callbacks.EarlyStopping", "callbacks.stop", pl.callbacks.EarlyStopping),
    ],
)
def test_names_of_before_a_file_moved_are_found(target: str, path: str, found: object) -> None:
    assert resolve(target, place_of(path), f"{path}._target_") is found


def test_a_misspelt_target_names_its_neighbour() -> None:
    with pytest.raises(UserError, match=r"did you mean genmodels\.models\.Glow\?"):
        resolve("genmodels.models.Glwo", place_of("model"), "model._target_")


def test_a_module_that_is_not_allowed_is_not_even_imported() -> None:
    with pytest.raises(UserError, match="not allowed"):
        resolve("antigravity.geohash", place_of("model"), "model._target_")
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("module", ["pytorch_lightning.callbacks", "genmodels_too.callbacks"])
def test_what_a_room_merely_imports_is_not_offered(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = type("Helper", (pl.Callback,), {"__module__": module})
    monkeypatch.setattr("genmodels.training.Helper", helper, raising=False)
    with pytest.raises(UserError, match=r"^callbacks\.new\._target_=genmodels\.training\.Helper is not allowed"):
        build({"_target_": "genmodels.training.Helper"}, "callbacks.new")


def test_what_comes_out_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class may make another's instance."""

    class Sly(pl.Callback):
        __module__ = "genmodels.training.sly"

        def __new__(cls) -> Any:
            return dict.__new__(dict)

    monkeypatch.setattr("genmodels.training.Sly", Sly, raising=False)
    node = {"_target_": "genmodels.training.Sly"}
    assert resolve(node["_target_"], place_of("callbacks.new"), "callbacks.new._target_") is Sly
    with pytest.raises(UserError, match=r"^callbacks\.new\._target_ has made a dict, and a .*Callback belongs there"):
        build(node, "callbacks.new")


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "x${seed}", "\\${seed}", "???"])
def test_a_saved_config_asks_for_nothing(stranger: Path, front: Front, text: str) -> None:
    _change(stranger, lambda config: _put(config, "data.root", text))
    for program, key in (("evaluate", "run"), ("train", "resume")):
        sentence = front(program, f"{key}={stranger}").mistake
        assert "config.yaml cannot be read: a saved config holds only values" in sentence
        assert "\n" not in sentence


def test_an_interpolation_is_no_key_either(stranger: Path, front: Front) -> None:
    _change(stranger, lambda config: _put(config, "${oc.env:HOME}", 1))
    assert "holds only values" in front("evaluate", f"run={stranger}").mistake


def test_yaml_runs_nothing(stranger: Path, front: Front, tmp_path: Path) -> None:
    with (stranger / "config.yaml").open("a") as file:
        file.write(f"more: !!python/object/apply:os.system ['touch {tmp_path}/marker']\n")
    assert "cannot be read: could not determine a constructor" in front("evaluate", f"run={stranger}").mistake
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    "override",
    [
        {"default_root_dir": "elsewhere"},
        {"plugins": []},
        {"logger": True},
        {"callbacks": []},
        {"use_distributed_sampler": True},
        {"model_registry": "them/model"},
    ],
)
def test_lightning_neither_writes_nor_loads_elsewhere(stranger: Path, front: Front, override: Node) -> None:
    (key,) = override
    _change(stranger, lambda config: config["trainer"].update(override))
    told = front("train", f"resume={stranger}", "trainer.max_steps=50").mistake
    assert told == f"trainer.{key} is set by the program itself: leave it out"


def test_a_strangers_run_downloads_nothing(stranger: Path, front: Front, tmp_path: Path) -> None:
    there = tmp_path / "there"
    _change(stranger, lambda c: c["data"].update(name="mnist", shape=[1, 28, 28], levels=256, root=str(there)))
    _change(stranger, lambda c: c["data"].update(download=True, validation=100))
    _change(stranger, lambda c: c["model"].update(shape=[1, 28, 28], levels=256))
    for program, arguments in (("evaluate", [f"run={stranger}"]), ("train", [f"resume={stranger}", "trainer=cpu"])):
        front(program, *arguments)
        assert not there.exists()


@pytest.mark.parametrize("wandb_id", ["../../elsewhere", "a b", 3, ["x"], "x\n"])
def test_an_id_is_no_path(stranger: Path, front: Front, wandb_id: Any) -> None:
    record = json.loads((stranger / "run.json").read_text())
    (stranger / "run.json").write_text(json.dumps({**record, "wandb_id": wandb_id}))
    with pytest.raises(UserError, match="wandb_id must be letters, digits, - and _"):
        RunFolder(stranger).read_record()
    done = front("train", f"resume={stranger}", "trainer.max_steps=41", "trainer.accelerator=cpu")
    assert "run.json.damaged-" in done.err  # and the run has an id of its own
    assert re.fullmatch("[0-9a-f]{8}", RunFolder(stranger).read_record()["wandb_id"])
