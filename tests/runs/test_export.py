"""An exported folder holds the run's model, says what it is, and is nothing but data."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from command_line import ROOT, Done, run_program
from safetensors.torch import load_file, save_file

import genmodels
from genmodels.errors import UserError
from genmodels.runs.export import export
from genmodels.runs.finished_run import load_run
from genmodels.runs.folder import RunFolder

OLD_RUN = ROOT / "tests" / "runs" / "old_run"
PLACES = ["data_dir=/home/me", "output_dir=/home/me", "++data.root=/home/me", "+hydra.run.dir=/home/me"]
Run = Callable[..., Done]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a run that kept averaged weights."""
    shutil.copytree(OLD_RUN, tmp_path / "run")
    RunFolder(tmp_path / "run").update_record(overrides=[*PLACES, "model.width=8"])
    return export(load_run(tmp_path / "run"), tmp_path / "export", license="cc-by-4.0").path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    return lambda name, *arguments: run_program(name, *arguments, capture=capsys)


PROGRAM = """
import sys, torch, genmodels
torch.set_num_threads(1)
model = genmodels.load(sys.argv[1])
torch.manual_seed(0)
x = torch.randint(17, (5, 1, 8, 8), dtype=torch.uint8)
print([value.hex() for value in model.log_prob(x).tolist()])
"""


def test_another_process_gets_the_same_log_prob_bit_for_bit(folder: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    model = load_run(OLD_RUN).model
    torch.manual_seed(0)
    x = torch.randint(17, (5, 1, 8, 8), dtype=torch.uint8)
    assert printed.strip() == str([value.hex() for value in model.log_prob(x).tolist()])


def test_the_card_says_where_the_figures_come_from_and_nothing_of_the_machine(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    assert yaml.safe_load(card.split("---")[1]) == {"license": "cc-by-4.0", "library_name": "genmodels"}
    figure = json.loads((OLD_RUN / "metrics.json").read_text())["test/bits_per_dim K=1"]
    assert f"| test/bits_per_dim K=1 | {figure['mean']:.4f} ± {figure['standard_error']:.4f} bits/dim | bound |" in card
    assert "the ema weights after 40 steps" in card
    assert "`train.py model.width=8`" in card
    record = json.loads((OLD_RUN / "run.json").read_text())
    assert record["git"]["commit"] in card
    everything = "".join(file.read_text() for file in folder.iterdir() if file.suffix != ".safetensors")
    assert "/home/me" not in everything
    assert record["hardware"]["host"] not in everything


def test_figures_of_other_weights_stay_behind(tmp_path: Path) -> None:
    source = RunFolder(shutil.copytree(OLD_RUN, tmp_path / "run"))
    entry = source.read_metrics()["test/bits_per_dim K=1"]
    source.add_metrics("test/bits_per_dim K=1 last.ckpt", {**entry, "step": 41, "checkpoint": "last.ckpt"})
    made = export(load_run(source.path), tmp_path / "export")
    assert list(made.read_metrics()) == ["test/bits_per_dim K=1"]


def test_it_is_scored_and_sampled_as_a_run_is(run: Run, folder: Path) -> None:
    asked = ("importance_samples=2", "max_images=20", "device=cpu")
    scored = [run("evaluate", f"run={place}", *asked) for place in (folder, folder.parent / "run")]
    figures = [done.out.splitlines()[0] for done in scored]
    assert figures[0] == figures[1]
    assert "test/bits_per_dim" in figures[0]
    done = run("sample", f"run={folder}", "n=4")
    assert done.code == 0, done.err
    assert list((folder / "samples").glob("*.png"))


def test_the_door_writes_it_and_over_nothing(run: Run, folder: Path) -> None:
    done = run("export", f"run={folder.parent / 'run'}", "out=made", "license=mit")
    assert done.code == 0, done.err
    weights, others = load_file("made/model.safetensors"), load_file(folder / "model.safetensors")
    assert all(torch.equal(weights[name], others[name]) for name in others)
    again = run("export", f"run={folder.parent / 'run'}", "out=made")
    assert again.mistake == "out=made exists and is not empty: name a new folder"
    wrong = run("export", f"run={folder.parent / 'run'}", "out=other", "license='mit\\nx: 1'")
    assert "is no SPDX identifier" in wrong.mistake
    assert not Path("other").exists()


def _of_another_model(folder: Path) -> None:
    save_file({"x": torch.zeros(2)}, folder / "model.safetensors", {"step": "1", "weights": "raw"})


def _of_somewhere_else(folder: Path) -> None:
    save_file(load_file(folder / "model.safetensors"), folder / "model.safetensors")


def _cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def _a_pickle(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "model.safetensors")


def _huge(folder: Path) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["model"]["width"] = 20_000
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def _code(folder: Path) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["model"] = {"_target_": "os.system", "command": f"touch {folder / 'opened'}"}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_of_another_model, "does not fit the model of"),
        (_of_somewhere_else, "was not written by export.py"),
        (_cut, "cannot be read"),
        (_a_pickle, "cannot be read"),
        (_huge, "describes a model much larger"),
        (_code, "os.system is not allowed"),
    ],
)
def test_what_is_not_the_data_of_an_export_is_refused(
    damage: Callable[[Path], None], reason: str, folder: Path
) -> None:
    damage(folder)
    with pytest.raises(UserError, match=reason):
        genmodels.load(folder)
    assert not (folder / "opened").exists()
