"""Every mistake a user can make on the command line ends in a sentence, exit code 2 and no traceback."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from command_line import ROOT, Done, run_program
from omegaconf import OmegaConf

Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # set by the programs; put back afterwards
    return lambda name, *arguments: run_program(name, *arguments, capture=capsys)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model=glw", "there is no model=glw: did you mean model=glow? model is one of "),
        ("data=cifar", "there is no data=cifar: did you mean data=cifar10?"),
        ("experiment=nothing_like_it", "there is no experiment=nothing_like_it:"),
        ("experiment=glow/cifar10", "there is no experiment=glow/cifar10: did you mean experiment=glow_cifar10?"),
        ("logger.project='a/b'", "logger.project=a/b must be a name of at most 128 characters, none of them among / "),
        (f"logger.project={'a' * 129}", f"logger.project={'a' * 129} must be a name of at most 128 characters"),
        ("model.width=3000000", "out of memory: make data.batch_size or the model smaller ("),
        ("modell=glow", "unknown key modell: did you mean model?"),
        ("trainer.max_step=3", "unknown key trainer.max_step: did you mean trainer.max_steps?"),
        ("model.num_step=3", "unknown key model.num_step: did you mean model.num_steps?"),
        ("+trainer.max_step=3", "unknown key trainer.max_step: did you mean trainer.max_steps?"),
        ("+typo=1", "unknown key typo: the config takes callbacks, compile,"),
        ("+typo.key=1", "unknown key typo: the config takes"),
        ("+seeds=1", "seeds exists already: leave the + out, seeds=..."),
        ("+seed=1", "seed exists already: leave the + out, seed=..."),
        ("~sed", "unknown key sed: did you mean seed?"),
        ("seed=many", "seed must be an integer, got 'many'"),
        ("seed=1,2", "seed=1,2 names several values: add -m to run them all"),
        ("seed=[1", "cannot read 'seed=[1': write key=value"),
        ("seed", "cannot read 'seed': write key=value"),
        ("model=null", "model=null names no option of model: choose model=biggan, "),
        ("optimizer=null", "optimizer=null names no option of optimizer: choose optimizer=adagrad, "),
        ("model=[1,2]", "model=[1,2] names no option of model: choose model="),
        ("data=3", "data=3 names no option of data: choose data="),
        ("++model=glow", "++model=glow is one + too many: leave them out, model=glow"),
        ("model@x=glow", "model@x=glow cannot be placed elsewhere: leave @x out, model=glow"),
        ("~scheduler=-1", "~scheduler=-1 names no option of scheduler: leave its value out, ~scheduler"),
        (
            "model/likelihood=bernoulli",
            "the chosen model has no model/likelihood: leave it out, or choose model=gated_",
        ),
        (
            "model/solver=rk4",
            "the chosen model has no model/solver: leave it out, or choose model=cnf, cnf_small, ffjord",
        ),
        (
            "objective/penalty=r1",
            "the chosen objective has no objective/penalty: leave it out, or choose objective=hinge",
        ),
        ("callbacks={_target_:os.system}", "unknown key callbacks._target_: callbacks takes "),
        ("trainer={a:{b:{c:1}}}", "unknown key trainer.a: trainer takes "),
        ("optimizer={lr:1,lrr:2}", "unknown key optimizer.lrr: did you mean optimizer.lr?"),
        ("name=größe", "cannot read 'name=größe': quote its value, and the whole from the shell: \"name='größe'\""),
        ("--lr=1", "there is no option --lr=1: settings are typed as key=value, without dashes"),
        (
            "output_dir=/proc/x",
            "no such file or directory: /proc/x: no folder can be made there, choose another output_",
        ),
        (f"output_dir=/tmp/{'a' * 300}", "file name too long: /tmp/aaa"),
        (
            "hydra.run.dir=/proc/x",
            "no such file or directory: /proc/x: no folder can be made there, choose another hydra.",
        ),
        ("model.width=64.5", "model.width must be an integer, got 64.5"),
        ("model.coupling=afine", "model.coupling must be one of affine, additive, got 'afine'"),
        ("optimizer.lr=-1", "optimizer.lr must be above 0, got -1"),
        ("name=../../x", "name=../../x has to be the name of one folder"),
        ("name=", "name= has to be the name of one folder"),
        ("trainer.enable_checkpointing=false", "trainer.enable_checkpointing=false does nothing here"),
        (
            "trainer.accumulate_grad_batches=21",
            "trainer.accumulate_grad_batches=21 is more than the 20 batches of an epoch",
        ),
        ("trainer.val_check_interval=21", "trainer.val_check_interval=21 is more than the 20 batches of an epoch"),
        ("optimizer._target_=os.system", "optimizer._target_=os.system is not allowed"),
        ("data.root=${nosuch}", "data.root cannot be resolved: Interpolation key 'nosuch' not found"),
        ("data=toy2d", "Glow is a model of images, and moons holds vectors of shape [2]"),
        ("data=cifar10", "CIFAR-10 not found: looked for "),
        ("data=image_folder", "data.root is not set"),
        ("model.num_scales=5", "model.num_scales=5 of glow does not fit images of 8x8"),
        ("model.conditional=yes", "model.conditional must be true or false, got 'yes'"),
        ("resume=nowhere", "resume=nowhere: there is no such folder"),
        ("resume=.", "resume=. is not a run folder: it has no config.yaml"),
        ("resume=3", "resume=3: there is no such folder"),
        ("trainer.max_time=1", "trainer.max_time is not set yet: add it with a +, +trainer.max_time=..."),
        ("data.max_train=9", "data.max_train is not set yet: add it with a +, +data.max_train=..."),
        ("evaluation.metrics=[nonsense]", "metrics=[nonsense]: there is no such metric; there is likelihood"),
        ("evaluation.metrics=likelihood", "evaluation.metrics must be a list (each text) or null, got 'likelihood': "),
        ("callbacks.samples=3", "callbacks.samples must be a mapping with a _target_ or null, got 3"),
        ("output_dir=/dev/null/x", "a file is where a folder is needed: /dev/null/x"),
        (
            "+callbacks.stop={_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:x,mode:y}",
            "callbacks.stop: `mode` can be min, max, got y",
        ),
    ],
)
def test_training(run: Run, tmp_path: Path, override: str, sentence: str) -> None:
    done = run("train", override)
    assert done.mistake.startswith(sentence)
    assert "\n" not in done.mistake
    assert not list(tmp_path.rglob("*.*"))  # nothing but, perhaps, empty folders


@pytest.mark.parametrize("objective", ["elbo", "iwae"])
def test_a_gradient_that_the_model_lacks_is_told_before_a_run(run: Run, tmp_path: Path, objective: str) -> None:
    done = run("train", "model=iaf_vae_small", f"objective={objective}", "objective.gradient=sticking")
    assert done.mistake == "objective.gradient=sticking is none that IAFVAE has: choose reparametrised"
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ("model=glow_small objective=hinge", "an adversarial objective needs a generator with its critic"),
        ("model=dcgan_small objective=nll", "objective=nll needs a model with a density (exact, log_prob), and DCGAN"),
        ("model=dcgan_small data=toy2d", "DCGAN is a model of images, and moons holds vectors of shape [2]"),
        ("model=dcgan_small objective.critic_steps=0", "objective.critic_steps must be at least 1, got 0"),
        ("model=dcgan_small objective.critic_steps=2.5", "objective.critic_steps must be an integer, got 2.5"),
        (
            "model=dcgan_small objective/penalty=r1 objective.penalty.gamma=-1",
            "objective.penalty.gamma must be at least 0",
        ),
        (
            "model=dcgan_small objective/penalty=clip objective.penalty.bound=0",
            "objective.penalty.bound must be above 0",
        ),
        ("model=dcgan_small objective.penalty.nonsense=1", "unknown key objective.penalty.nonsense"),
        (
            "model=dcgan_small objective/penalty=gradient objective.penalty.wieght=1",
            "unknown key objective.penalty.wieght: did you mean objective.penalty.weight?",
        ),
        ("model=dcgan_small objective/penalty=gradeint", "there is no objective/penalty=gradeint: did you mean "),
        (
            "model=dcgan_small model.num_scales=2 objective/penalty=gradient",
            "objective/penalty=gradient needs a critic that scores each image by itself, and DCGAN's mixes its batch: "
            "choose model.critic_norm=none",
        ),
        (
            "model=dcgan_small model.num_scales=2 objective/penalty=r1",
            "objective/penalty=r1 needs a critic that scores each image by itself",
        ),
        ("model=gan data=toy2d model.conditional=true", "model.conditional"),
        ("model=gan data=toy2d objective/augment=ada", "objective/augment is for images, and the data holds vectors"),
        (
            "model=dcgan_small objective/augment=diffaugment objective.augment.policy=[colour]",
            "objective.augment.policy must be a list (each one of color, translation, cutout), got ['colour']",
        ),
        (
            "model=gan objective=wasserstein objective/augment=ada",
            "AdaptiveAugment goes by the sign of scores, which tells nothing in a game of Wasserstein: choose ",
        ),
        (
            "model=dcgan_small +optimizers.critic={_target_:torch.optim.Adam}",
            "optimizers.critic names no part that is trained",
        ),
        ("model=dcgan_small callbacks.ema.ramp=0", "callbacks.ema.ramp=0 must be above 0"),
    ],
)
def test_games_that_cannot_be_played(run: Run, tmp_path: Path, overrides: str, sentence: str) -> None:
    done = run("train", *overrides.split())
    assert done.mistake.startswith(sentence)
    assert "\n" not in done.mistake
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "+callbacks.stop={_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:nonsense}",
            "trainer: Early stopping conditioned on metric `nonsense`",
        ),
        ("trainer.accelerator=tpu", "trainer: "),
    ],
)
def test_what_lightning_finds_out_in_a_run(run: Run, override: str, sentence: str) -> None:
    tiny = ("model=nice_small", "model.width=4", "trainer=cpu", "trainer.max_steps=1", "logger=csv")
    assert run("train", *tiny, override).mistake.splitlines()[-1].startswith(sentence)


def test_a_key_that_belongs_to_another_choice_is_compared_with_the_chosen_one(run: Run) -> None:
    assert run("train", "model=nice", "model.num_coupling=3").mistake.endswith("did you mean model.num_couplings?")


@pytest.mark.parametrize(
    ("program", "arguments", "sentence"),
    [
        ("evaluate", [], "run is missing: give run=..."),
        ("evaluate", ["run=nowhere"], "run=nowhere: there is no such folder"),
        ("evaluate", ["run=nowhere", "split=all"], "split must be one of test, val, train, got 'all'"),
        ("evaluate", ["run=nowhere", "slit=val"], "unknown key slit: did you mean split?"),
        ("evaluate", ["run=nowhere", "+samples=3"], "unknown key samples"),
        ("evaluate", ["run=nowhere", "trainer=cpu"], "unknown key trainer"),
        ("sample", [], "run is missing: give run=..."),
        ("sample", ["run=nowhere", "n=few"], "n must be an integer, got 'few'"),
        ("sample", ["run=nowhere"], "run=nowhere: there is no such folder"),
    ],
)
def test_using_a_run(run: Run, program: str, arguments: list[str], sentence: str) -> None:
    assert run(program, *arguments).mistake.startswith(sentence)


def test_a_key_of_a_recipe_that_the_choices_lack_is_told_with_the_recipe(run: Run) -> None:
    assert run("train", "experiment=flowpp_cifar10", "model=flowpp_small").mistake == (
        "unknown key scheduler.warmup_steps: scheduler takes no keys; it is of experiment=flowpp_cifar10, which does "
        "not go with model=flowpp_small: leave one of them out"
    )


def test_the_flag_of_a_sweep_may_stand_between_overrides(run: Run) -> None:
    assert "optimizer.lr must be above 0, got -1" in run("train", "seed=1", "-m", "optimizer.lr=-1").mistake


def test_in_a_sweep_the_other_trials_run(run: Run, tmp_path: Path) -> None:
    tiny = ("model=nice_small", "model.width=4", "trainer=cpu", "trainer.max_steps=1", "logger=csv")
    done = run("train", "-m", "model.num_couplings=1,2", *tiny)
    assert set(done.mistake.splitlines()) == {  # and no line of Hydra's about it
        "model.num_couplings=1 leaves half of the dimensions unchanged; use 2 or more."
    }
    assert len(list(tmp_path.glob("outputs/sweeps/*/*/metrics.json"))) == 1


def test_from_a_real_shell() -> None:
    command = [sys.executable, str(ROOT / "train.py"), "model=glw"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("there is no model=glw")


def test_help_lists_every_choice_in_lines_that_fit_and_the_recipes_when_asked(run: Run) -> None:
    shown = run("train", "--help").out
    assert max(map(len, shown.splitlines())) <= 115
    assert shown.index("Keys") < shown.index("Choices") < shown.index("Examples")
    recipes = run("train", "--help", "experiment").out
    assert max(map(len, recipes.splitlines())) <= 110
    files = [file for file in (ROOT / "conf").rglob("*/*.yaml") if file.parent.name not in ("base", "help", "sweep")]
    assert len(files) > 100
    for file in files:
        listed = recipes if file.parent.name == "experiment" else shown
        assert re.search(rf"\b{file.stem}\b", listed), file
    assert "glow_cifar10 " not in shown
    assert not re.search(r"^ *sweep: ", shown, re.MULTILINE)
    assert re.search(r"^ *trainer: ", shown, re.MULTILINE)
    searches = run("experiments.sweep", "--help").out
    assert all(re.search(rf"^{file.stem} +\S", searches, re.MULTILINE) for file in (ROOT / "conf/sweep").iterdir())
    assert re.search(r"^glow_cifar10 +Glow on CIFAR-10: Kingma & Dhariwal 2018", recipes, re.MULTILINE)


def test_a_search_is_another_program(run: Run) -> None:
    assert run("train", "sweep=glow").mistake.startswith("sweep= is of python experiments/sweep.py, which searches")


def test_help_on_a_group_tells_of_the_users_own_options_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "abacus.yaml").write_text("# Counts et al. 2001 with beads. Slowly.\nbeads: 3\n")
    shown = run("train", "--help", "model", "--config-dir", str(tmp_path / "mine")).out
    assert re.search(r"^abacus +Counts et al. 2001 with beads\.$", shown, re.MULTILINE)
    assert "there is no group modl: the groups are callbacks, data," in run("train", "--help", "modl").out


def test_help_on_missing_data_fits_the_program(run: Run, tmp_path: Path) -> None:
    assert run("train", "data=cifar10").mistake.endswith("; add data.download=true or set data_dir=<folder>.")
    folder = tmp_path / "run"
    tiny = ("model=nice_small", "model.width=4", "trainer=cpu", "trainer.max_steps=1", "logger=csv")
    assert run("train", *tiny, f"hydra.run.dir={folder}").code == 0
    config = OmegaConf.load(folder / "config.yaml")
    config.data.name, config.data.levels = "mnist", 16
    OmegaConf.save(config, folder / "config.yaml")
    for program, *more in (("evaluate",), ("evaluate", "-m", "seed=0,1"), ("sample", "interpolate=true")):
        told = run(program, *more, f"run={folder}").mistake
        assert told.splitlines()[-1].endswith("; set data_dir=<folder>.")
        assert "download" not in told


@pytest.mark.parametrize("program", ["train", "evaluate", "sample", "compare"])
def test_help_shows_the_values_that_hold(run: Run, program: str) -> None:
    """A default that the help page quotes is the default of the config."""
    shown = run(program, "--help").out
    config = OmegaConf.create(run(program, "--cfg", "job").out)
    for line in shown.partition("Keys")[2].partition("Examples")[0].splitlines():
        key, _, value = line.strip().partition(" ")[0].partition("=")
        if value and "<" not in value:
            assert str(OmegaConf.select(config, key)) == str(yaml.safe_load(value)), line


def test_a_logger_that_is_not_installed_says_so_before_there_is_a_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = "genmodels.training.tensorboard_logger.importlib.util.find_spec"
    monkeypatch.setattr(find, lambda name: None)
    told = run("train", "logger=tensorboard", "trainer=cpu", f"hydra.run.dir={tmp_path / 'run'}").mistake
    assert told == "logger=tensorboard needs TensorBoard: run `pip install tensorboard`."
    assert not (tmp_path / "run" / "run.json").exists()


def test_devices_by_number_are_gpus(run: Run) -> None:
    assert "a number of processes, trainer.devices=1" in run("train", "trainer=cpu", "trainer.devices=[0]").mistake
