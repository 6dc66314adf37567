"""Every command of README and docs/ names what exists: choices, keys, scripts and their arguments, targets, extras."""

import argparse
import importlib
import re
import runpy
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT
from documented import Command, commands_of, door_of, pages, trials, usages, words
from hydra._internal.config_repository import ConfigRepository
from hydra.plugins.config_source import ConfigResult

from genmodels.cli import _help_on_a_group
from genmodels.config.checks import check, check_arguments
from genmodels.config.compose import CONFIG_DIR, compose, group_names
from genmodels.config.overrides import choice_errors, split

OWN_PACKAGE = "plugins=[my_package]"  # of the page on extending, which tests/test_readme.py follows whole
COMMANDS = [command for page in pages() for command in commands_of(page) if OWN_PACKAGE not in command.text]
DIFFERENT = list({command.text: command for command in COMMANDS}.values())
PLUGINS = ("hydra/launcher=", "hydra.launcher.")  # choices and keys of packages that need not be installed
OTHER_PACKAGES = {"hydra-joblib-launcher", "hydra-submitit-launcher", "optuna-dashboard"}  # nothing here needs them
MAKEFILE, PYPROJECT = ((ROOT / name).read_text() for name in ("Makefile", "pyproject.toml"))


class _ReadError(Exception):
    """What the script would go on with: its arguments, read."""


@pytest.fixture(scope="module", autouse=True)
def _files_read_once() -> Iterator[None]:
    """Hydra reads each file of conf/ once for all commands, not once for each, where much of the time would go."""
    genuine, read = ConfigRepository.load_config, {}

    def load(repository: ConfigRepository, config_path: str) -> ConfigResult | None:
        if config_path not in read:
            read[config_path] = genuine(repository, config_path)
        return deepcopy(read[config_path])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigRepository, "load_config", load)
        yield


def test_there_are_commands_on_the_pages() -> None:
    assert {command.page for command in COMMANDS} >= {"README.md", "docs/book/coupling.md", "docs/quickstart.md"}


@pytest.mark.parametrize("command", DIFFERENT, ids=str)
def test_names_what_exists(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    examine(command.text, monkeypatch)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("python train.py model=glov_small", "glov_small"),
        ("python train.py model=glow_small optimiser.lr=0.1", "optimiser"),
        ("python train.py model=glow_small trainer.max_step=3", "max_step"),
        ("python train.py model=vae_small objective.free_bit=1", "free_bit"),
        ("python train.py -m model=glow_small,realnvp_smal", "realnvp_smal"),
        ("python train.py model=maf model.activation=tan data=toy2d", "tan"),
        ("python train.py model=maf data=digits data.shap=3", "shap"),
        ("python train.py --help dataset", "dataset"),
        ("python trian.py model=glow_small", "trian.py"),
        ("python evaluate.py run=<run folder> sample=4", "sample"),
        ("python evaluate.py run=<run folder> metrics=[likelihod]", "likelihod"),
        ("python sample.py run=<run folder> n=many", "many"),
        ("genmodels-sampel run=<run folder>", "sampel"),
        ("python experiments/galery.py", "galery.py"),
        ("python experiments/gallery.py sets=[moon]", "moon"),
        ("python experiments/gallery.py models=[mav]", "mav"),
        ("python experiments/iaf_figure.py", "[(1, 2)]"),
        ("python experiments/iaf_figure.py figure.png 2 twice", "twice"),
        ("python experiments/gan_stability.py --sed 0", "--sed"),
        ("python experiments/elbo_surgery.py trainer.max_step=12", "max_step"),
        ("python -m pytest tests/test_nothing.py", "test_nothing"),
        ("make quikstart", "quikstart"),
        ("pip install 'genmodels[tabluar]'", "tabluar"),
        ("pip install tensorbord", "tensorbord"),
    ],
)
def test_a_typo_is_found(
    text: str, wrong: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((Exception, SystemExit)) as told:
        examine(text, monkeypatch)
    assert wrong in f"{told.value} {told.value.__cause__} {capsys.readouterr().err}"


def examine(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise whatever says that a command is none."""
    program = words(text)
    if door := door_of(program):
        _examine_door(*door)
    elif program[:3] == ["python", "-m", "pytest"]:
        assert [name for name in program[3:] if not (ROOT / name.partition("::")[0]).exists()] == []
    elif program[0] == "python":
        _examine_script(ROOT / program[1], program[2:], monkeypatch)
    elif program[0] == "make":
        for target in program[1:]:
            assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), f"Makefile has no {target}"
    elif program[0] == "pip":
        _examine_pip(program[1:])
    elif program[0] == "torchrun":
        _examine_door("train", program[program.index("train.py") + 1 :])
    elif program[0] == "wandb" and program[1] == "sweep":
        assert (ROOT / program[2]).is_file(), program[2]
    elif program[0] in ("wandb", "docker"):
        pass  # of what they are told nothing is ours
    else:
        raise AssertionError(f"unknown kind of command: {text}")


def _examine_door(door: str, arguments: list[str]) -> None:
    module = importlib.import_module(f"genmodels.doors.{door}")
    if "--help" in arguments:
        told = _help_on_a_group(arguments)
        groups = [word.partition("=")[2] for word in told if word.startswith("hydra.help.header")]
        assert set(groups) <= group_names(), groups
        assert groups or arguments == ["--help"]
        return
    overrides, _ = split(arguments)
    overrides = [text for text in overrides if not text.startswith(PLUGINS)]
    assert not [*choice_errors(overrides)]
    for trial in trials(overrides):
        config = compose(trial, "config" if door == "train" else door)
        if door == "train":
            check(_on_this_machine(config, trial))
        elif function := getattr(module, door, None):
            check_arguments(function, config)
            _examine_metrics(config)


def _on_this_machine(config: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """With the usual trainer in place of one that asks for devices, whose keys the composition has looked at."""
    if any(text.startswith("trainer=") and text not in ("trainer=cpu", "trainer=auto") for text in overrides):
        return {**config, "trainer": compose()["trainer"]}
    return config


def _examine_metrics(config: dict[str, Any]) -> None:
    from genmodels.evaluation.metrics import METRICS

    assert set(config.get("metrics") or ()) <= set(METRICS), config["metrics"]


def _examine_script(file: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert file.is_file(), file
    source = file.read_text()
    monkeypatch.setattr(sys, "path", [str(file.parent), *sys.path])
    if arguments == ["--help"]:
        assert "--help" in source or "argparse" in source
    elif "argparse" in source:
        overrides = vars(_read_by_its_parser(file, arguments, monkeypatch)).get("overrides") or []
        check(compose([text for text in overrides if not text.startswith(("a=", "b="))]))
    elif door := re.search(r"^from genmodels\.doors\.(\w+) import main$", source, re.MULTILINE):
        _examine_door(door[1], arguments)
    elif "def asked_by" in source:
        script = importlib.import_module(file.stem)
        asked = script.asked_by(arguments)
        if file.stem == "gallery":
            assert set(asked.models) <= {*script.RECIPES, *(option.stem for option in (CONFIG_DIR / "model").iterdir())}
            check(compose(["experiment=base/gallery", "model=maf", *asked.overrides]))
    else:
        assert any(least <= len(arguments) <= most for least, most in usages(file)), f"{arguments}: {usages(file)}"


def _read_by_its_parser(file: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """The script is stopped as soon as it has read its arguments."""
    genuine = argparse.ArgumentParser.parse_args

    def reading(parser: argparse.ArgumentParser, *rest: Any) -> argparse.Namespace:
        raise _ReadError(genuine(parser, *rest))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", reading)
    monkeypatch.setattr(sys, "argv", [str(file), *arguments])
    with pytest.raises(_ReadError) as read:
        runpy.run_path(str(file), run_name="__main__")
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", genuine)
    return read.value.args[0]


def _examine_pip(arguments: list[str]) -> None:
    assert arguments[0] == "install", arguments
    section = PYPROJECT.split("[project.optional-dependencies]")[1].split("\n[")[0]
    extras = set(re.findall(r"^(\w+) = \[", section, re.MULTILINE))
    for wanted in (word for word in arguments[1:] if not word.startswith("-")):
        name, _, asked = wanted.rstrip("]").partition("[")
        if name in (".", "genmodels"):
            assert set(filter(None, asked.split(","))) <= extras, wanted
        else:
            assert name in OTHER_PACKAGES or re.search(rf'"{name}\b', PYPROJECT), f"{name} is no package of ours"
