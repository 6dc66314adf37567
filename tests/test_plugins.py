"""A user's own package: found after an explicit word, held to the contracts, and never let in by a run."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from command_line import ROOT, Done, run_program

from genmodels import plugins

MODEL = """
import torch
from torch import nn
from genmodels.models import Model


class Gaussian(Model):
    takes = frozenset({takes})

    def __init__(self, shape, levels, width=1):
        super().__init__()
        self.shape, self.levels = tuple(shape), levels
        self.loc = nn.Parameter(torch.zeros(self.shape))
        {exact}

    def log_prob(self, x, y=None):
        return torch.distributions.Normal(self.loc, 1.0).log_prob(x).sum(1)

    def sample(self, n, y=None{temperature}):
        return self.loc.detach() + torch.randn(n, *self.shape)
"""

SOURCE = """
import torch
from genmodels.data import Examples, Options, Source
from genmodels.training import EMA  # what a module imports is not its own


class Rings(Source):
    title = "two rings"
    levels = None

    def read(self, part):
        generator = torch.Generator().manual_seed(len(part))
        return Examples(torch.randn(400, 2, generator=generator{dtype}))


class Unfinished(Source):
    pass
"""

REST = """
import pytorch_lightning as pl
from pathlib import Path
from genmodels.objectives import NegativeLogLikelihood
from genmodels.training import LikelihoodModule, linear_warmup
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR


class Note(pl.Callback):
    def __init__(self, text: str = "hello") -> None:
        self.text = text

    def on_train_end(self, trainer, pl_module):
        if trainer.is_global_zero:
            (Path(trainer.default_root_dir) / "note.txt").write_text(f"{self.text} {type(pl_module).__name__}")


class MyModule(LikelihoodModule):
    pass


class MyLoss(NegativeLogLikelihood):
    module = "my_package.rest.MyModule"


class MySGD(SGD):
    pass


def halved(optimizer) -> LambdaLR:
    return LambdaLR(optimizer, lambda step: 0.5)


def untold(optimizer):
    return LambdaLR(optimizer, lambda step: 0.5)
"""

OPTIONS = {
    "model": """
_target_: my_package.Gaussian
shape: ${data.shape}
levels: ${data.levels}
width: 1
""",
    "optimizer": "{_target_: my_package.rest.MySGD, lr: 0.1}",
}

SHORT = ("trainer.accelerator=cpu", "trainer.max_steps=3", "logger=csv", "output_dir=out", "data.validation=100")
RINGS = ("data=toy2d", "data.name=my_package.data.Rings", "data.batch_size=100")


class User:
    """Somebody with a package of their own, in a folder that has nothing to do with this project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "my_package"
        self.package.mkdir()
        for group, option in OPTIONS.items():
            (folder / "my_configs" / group).mkdir(parents=True)
            (folder / "my_configs" / group / "mine.yaml").write_text(option)
        self.write()
        (self.package / "rest.py").write_text(REST)

    def write(
        self, takes: str = '{"vectors"}', exact: str = "self.exact = True", temperature: str = ", temperature=1.0"
    ) -> None:
        (self.package / "__init__.py").write_text("from my_package.net import Gaussian\n")
        (self.package / "net.py").write_text(MODEL.format(takes=takes, exact=exact, temperature=temperature))
        self.write_data()

    def write_another(self) -> None:
        """A package whose name begins as the first one's."""
        (self.folder / "my_package_too").mkdir()
        (self.folder / "my_package_too" / "__init__.py").write_text(MODEL.format(takes="{}", exact="", temperature=""))
        (self.package / "more.py").write_text("from my_package_too import Gaussian\n")

    def write_data(self, dtype: str = "") -> None:
        (self.package / "data.py").write_text(SOURCE.format(dtype=dtype))

    def runs(self, program: str, *arguments: str, **environment: str) -> Done:
        command = [sys.executable, str(ROOT / f"{program}.py"), *arguments]
        inherited = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "GENMODELS_PLUGINS")}
        done = subprocess.run(
            command, cwd=self.folder, env={**inherited, **environment}, capture_output=True, text=True, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def trains(self, *arguments: str, **environment: str) -> Done:
        return self.runs("train", "--config-dir", "my_configs", "model=mine", *RINGS, *SHORT, *arguments, **environment)

    @property
    def run(self) -> Path:
        (folder,) = self.folder.glob("out/*/*")
        return folder


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


@pytest.fixture
def here(
    user: User, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Done]]:
    """train.py in this process, which forgets the package afterwards."""
    monkeypatch.chdir(user.folder)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(plugins, "_allowed", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield lambda *arguments: run_program("train", *arguments, capture=capsys)
    for name in [name for name in sys.modules if name.startswith("my_package")]:
        del sys.modules[name]


@pytest.mark.slow
def test_a_users_package_trains_resumes_and_is_evaluated(user: User) -> None:
    done = user.trains(
        "plugins=[my_package]",
        "+callbacks.note={_target_: my_package.rest.Note, text: bye}",
        "objective._target_=my_package.rest.MyLoss",
        "optimizer=mine",
        "scheduler._target_=my_package.rest.halved",
    )
    assert done.code == 0, done.err
    assert "test/nll" in done.out
    assert (user.run / "note.txt").read_text() == "bye MyModule"
    assert "plugins" not in yaml.safe_load((user.run / "config.yaml").read_text())

    # A saved run does not open the door itself, not even if it says so.
    with (user.package / "__init__.py").open("a") as file:
        file.write("open('opened', 'w')\n")
    with (user.run / "config.yaml").open("a") as file:
        file.write("plugins: [my_package]\n")
    for program, asks in (("evaluate", [f"run={user.run}"]), ("train", [f"resume={user.run}", "trainer.max_steps=5"])):
        assert (
            "model._target_=my_package.Gaussian is not allowed: if you trust the package my_package, add "
            "plugins=[my_package] on the command line"
        ) in user.runs(program, *asks).mistake.splitlines()
    assert not (user.folder / "opened").exists()

    assert "test/nll" in user.runs("evaluate", f"run={user.run}", "plugins=[my_package]").out
    assert "test/nll" in user.runs("evaluate", f"run={user.run}", GENMODELS_PLUGINS="my_package").out
    assert user.runs("sample", f"run={user.run}", "plugins=my_package", "n=4").code == 0
    resumed = user.runs("train", f"resume={user.run}", "plugins=[my_package]", "trainer.max_steps=5")
    assert resumed.code == 0, resumed.err
    assert "plugins" not in yaml.safe_load((user.run / "config.yaml").read_text())


@pytest.mark.usefixtures("here")
def test_the_current_directory_is_searched_last(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = user.folder / "installed" / "my_package" / "__init__.py"
    installed.parent.mkdir(parents=True)
    installed.touch()
    monkeypatch.syspath_prepend(installed.parents[1])
    plugins.allow("my_package")
    assert sys.modules["my_package"].__file__ == str(installed)


@pytest.mark.slow
def test_two_processes_and_a_sweep_see_the_package(user: User) -> None:
    done = user.trains("plugins=[my_package]", "trainer.devices=2", "trainer.strategy=ddp")
    assert done.code == 0, done.err
    swept = user.trains("plugins=[my_package]", "model.width=1,2", "--multirun")
    assert swept.code == 0, swept.err


@pytest.mark.parametrize(
    ("change", "arguments", "sentence"),
    [
        (None, [], "model._target_=my_package.Gaussian is not allowed: if you trust the package my_package, add "),
        (None, ["plugins=[nowhere]"], "plugins=nowhere: there is no package nowhere: install it, or start from"),
        (None, ["plugins=[my-package]"], "plugins takes names of packages as Python imports them, such as my_package"),
        (None, ["plugins=3"], "plugins must be names of packages, such as plugins=[my_package], got 3"),
        (
            lambda user: (user.package / "net.py").write_text("import nosuchthing\n"),
            ["plugins=[my_package]"],
            "plugins=my_package: my_package cannot be imported: ModuleNotFoundError: No module named 'nosuchthing' (",
        ),
        (
            lambda user: (user.package / "net.py").write_text("1 / 0\n"),
            ["plugins=[my_package]"],
            "plugins=my_package: my_package cannot be imported: ZeroDivisionError: division by zero (",
        ),
        (
            lambda user: (user.package / "net.py").write_text("def ("),
            ["plugins=[my_package]"],
            "plugins=my_package: my_package cannot be imported: SyntaxError: ",
        ),
        (
            lambda user: (user.package / "net.py").write_text("raise SystemExit(0)"),
            ["plugins=[my_package]"],
            "plugins=my_package: my_package cannot be imported: SystemExit: 0 (",
        ),
        (
            lambda user: (user.package / "rest.py").write_text("1 / 0\n"),
            ["plugins=[my_package]", "+callbacks.note._target_=my_package.rest.Note"],
            "callbacks.note._target_=my_package.rest.Note: my_package.rest cannot be imported: ZeroDivisionError: ",
        ),
        (
            None,
            ["plugins=[my_package]", "model._target_=my_package.Gausian"],
            "model._target_=my_package.Gausian does not exist: did you mean my_package.Gaussian?",
        ),
        (
            None,
            ["plugins=[my_package]", "model._target_=my_package.nets.Gaussian"],
            "model._target_=my_package.nets.Gaussian: there is no module my_package.nets",
        ),
        (
            None,
            ["plugins=[my_package]", "model._target_=my_package.rest.Note"],
            "model._target_=my_package.rest.Note is no genmodels.models.Model: derive the class from it",
        ),
        (
            None,
            ["plugins=[my_package]", "+callbacks.ema2._target_=my_package.data.EMA"],
            "callbacks.ema2._target_=my_package.data.EMA is not allowed: my_package does not define it",
        ),
        (
            User.write_another,
            ["plugins=[my_package]", "model._target_=my_package_too.Gaussian"],
            "model._target_=my_package_too.Gaussian is not allowed: if you trust the package my_package_too, add ",
        ),
        (
            User.write_another,
            ["plugins=[my_package]", "model._target_=my_package.more.Gaussian"],
            "model._target_=my_package.more.Gaussian is not allowed: my_package does not define it",
        ),
        (
            None,
            ["plugins=[my_package]", "scheduler._target_=my_package.rest.untold"],
            "scheduler._target_=my_package.rest.untold does not make a torch.optim.lr_scheduler.LRScheduler",
        ),
        (
            None,
            ["plugins=[my_package]", "data.name=my_package.data.Unfinished"],
            "data.name=my_package.data.Unfinished has no read: every genmodels.data.Source defines it",
        ),
        (
            None,
            ["plugins=[my_package]", "data.name=other.Rings"],
            "data.name=other.Rings is not allowed: if you trust the package other, add plugins=[other]",
        ),
        (
            lambda user: user.write_data(", dtype=torch.float64"),
            ["plugins=[my_package]"],
            "my_package.data.Rings must give examples of torch.float32, and gives torch.float64.",
        ),
        (
            lambda user: user.write(temperature=""),
            ["plugins=[my_package]"],
            "Gaussian.sample does not take temperature: its arguments have to be (n, y, temperature)",
        ),
        (
            lambda user: user.write(exact=""),
            ["plugins=[my_package]"],
            "Gaussian does not set exact: a Density has it",
        ),
        (
            lambda user: user.write(exact="del self.shape"),
            ["plugins=[my_package]"],
            "Gaussian does not set self.shape: it has to be the data's",
        ),
        (
            lambda user: user.write(exact="self.exact, self.shape = True, (3,)"),
            ["plugins=[my_package]"],
            "Gaussian.shape is (3,), and data.shape is (2,): the model has to set it to the data's",
        ),
        (
            lambda user: user.write(takes='{"images"}'),
            ["plugins=[my_package]"],
            "Gaussian is a model of images, and my_package.data.Rings holds vectors of shape [2]: choose",
        ),
        (
            lambda user: user.write(takes='{"tables"}'),
            ["plugins=[my_package]"],
            "Gaussian.takes must be a frozenset of 'images' and 'vectors', got frozenset({'tables'})",
        ),
        (
            None,
            ["plugins=[my_package]", "+model.depth=3"],
            "unknown key model.depth: did you mean model.width?",
        ),
        (None, ["plugins=[my_package]", "model.widht=3"], "unknown key model.widht: did you mean model.width?"),
        (
            lambda user: (user.package / "rest.py").write_text(REST.replace("rest.MyModule", "rest.Note")),
            ["plugins=[my_package]", "objective._target_=my_package.rest.MyLoss"],
            "MyLoss.module=my_package.rest.Note is no genmodels.training.TrainingModule: derive the class from it",
        ),
    ],
)
def test_mistakes_are_one_sentence_before_the_first_step(
    user: User,
    here: Callable[..., Done],
    change: Callable[[User], None] | None,
    arguments: list[str],
    sentence: str,
) -> None:
    if change is not None:
        change(user)
    told = here("--config-dir", "my_configs", "model=mine", *RINGS, *SHORT, *arguments).mistake
    assert told.splitlines()[0].startswith(sentence)
    assert not list(user.folder.rglob("metrics.csv"))
    assert not list(user.folder.rglob("config.yaml"))
