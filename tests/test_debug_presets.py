"""debug=fast|overfit|profiler, and what is said before the first step."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Done, run_program
from rich.console import Console

from genmodels.config.compose import compose
from genmodels.runs.fit import build_parts
from genmodels.runs.start_table import print_start_table, start_table

Run = Callable[..., Done]
TINY = ("model=nice_small", "model.width=16", "trainer=cpu")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    return lambda name, *arguments: run_program(name, *arguments, capture=capsys)


def _record(folder: Path) -> dict:
    (file,) = folder.glob("outputs/*/*/run.json")
    return json.loads(file.read_text())


def test_fast_takes_five_steps_and_leaves_wandb_out(run: Run, tmp_path: Path) -> None:
    done = run("train", *TINY, "debug=fast", "optimizer=sgd")
    assert done.code == 0, done.err
    assert _record(tmp_path)["steps"] == 5
    assert "\noptimizer SGD lr=0.01, constant" in done.out
    assert not list(tmp_path.rglob("wandb"))
    metrics = next(tmp_path.rglob("metrics.csv")).read_text()
    assert metrics.count("val/bits_per_dim") == 1
    assert compose(["experiment=glow_cifar10", "debug=fast"])["trainer"]["max_steps"] == 5


def test_overfit_learns_its_few_images_by_heart(run: Run, tmp_path: Path) -> None:
    done = run("train", *TINY, "debug=overfit", "trainer.max_steps=250", "logger=csv", "optimizer.lr=0.004")
    assert "images 1x8x8 of 17 levels, 16 train + 250 validation + 250 test" in done.out
    values = [line.split(",") for line in next(tmp_path.rglob("metrics.csv")).read_text().splitlines()]
    train = [float(value) for _, _, name, value in values[1:] if name == "train/bits_per_dim"]
    val = [float(value) for _, _, name, value in values[1:] if name == "val/bits_per_dim"]
    assert train[-1] < min(val) - 1


def test_the_profiler_prints_its_table(run: Run) -> None:
    done = run("train", *TINY, "debug=profiler")
    assert "FIT Profiler Report" in done.out
    assert "run_training_batch" in done.out


def test_a_model_summary_shows_the_models_parts(run: Run) -> None:
    done = run("train", *TINY, "debug=fast", "trainer.enable_model_summary=true")
    assert "model.bijection" in done.out


def _rows(*overrides: str) -> dict[str, str]:
    config = compose(overrides)
    parts = build_parts(config)
    parts.data.setup()
    return start_table(config, parts.module, parts.data, Path("outputs/x"))


@pytest.mark.parametrize(
    ("overrides", "steps"),
    [
        ((), "600 steps, 30 epochs of 20"),
        (("trainer.max_steps=50",), "50 steps, 20 an epoch"),
        (("trainer.max_epochs=-1", "trainer.max_steps=5000"), "5,000 steps, 20 an epoch"),
        (("trainer.max_epochs=-1",), "without end, 20 steps an epoch"),
        (("trainer.accumulate_grad_batches=3",), "210 steps, 30 epochs of 7"),
        (("trainer.limit_train_batches=0.5",), "300 steps, 30 epochs of 10"),
        (("trainer.limit_train_batches=5",), "150 steps, 30 epochs of 5"),
    ],
)
def test_the_start_table_counts_steps_as_training_will(overrides: tuple[str, ...], steps: str) -> None:
    assert _rows("model=nice_small", *overrides)["training"] == steps


def test_the_start_table_names_what_is_trained_what_was_chosen_and_every_optimizer() -> None:
    config = compose(["model=nice_small"])
    parts = build_parts(config)
    parts.data.setup()
    config["optimizers"] = {"critic": {"_target_": "torch.optim.SGD", "lr": 0.1}}
    model = parts.module.model
    model.chosen = {"num_scales": 2}
    next(model.parameters()).requires_grad_(False)
    rows = start_table(config, parts.module, parts.data, Path("x"))
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert rows["model"] == f"NICE, {trained:,} parameters"
    assert rows["chosen"] == "model.num_scales=2, from the data"
    assert rows["optimizer"] == "Adam lr=0.001, critic: SGD lr=0.1, constant"


def test_where_a_run_logs() -> None:
    logged = {"csv": "outputs/x", "tensorboard": "outputs/x, tensorboard", "wandb": "outputs/x, wandb"}
    assert {choice: _rows("model=nice_small", f"logger={choice}")["run"] for choice in logged} == logged
    assert _rows("model=nice_small", "logger.mode=online")["run"] == "outputs/x, wandb online"


def test_the_start_table_names_the_parts_of_the_model_and_fits_a_narrow_terminal() -> None:
    rows = _rows("model=pixelrnn_row_small", "trainer.accumulate_grad_batches=2", "trainer=ddp_cpu")
    assert rows["model"] == ("PixelRNN, 59,345 parameters (lstms 48,816, output 5,537, widen 3,600, first 1,392)")
    assert rows["optimizer"] == "Adam lr=0.004, constant"
    assert rows["batch"] == "128 = 2 x 64"
    assert rows["device"] == "2 processes, each on CPU, precision 32-true"
    assert rows["run"] == "outputs/x, wandb"
    rows["run"] = "/a/long/path" * 12
    console = Console(width=80, force_terminal=True, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    print_start_table(rows, console)
    shown = console.export_text()
    assert max(map(len, shown.splitlines())) <= 80
    assert "/a/long/path" * 12 in "".join(line[11:].strip() for line in shown.splitlines())
