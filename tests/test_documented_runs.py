"""The pages of the book, run command after command for a few steps each."""

import re
from pathlib import Path

import pytest
from command_line import run_program
from documented import commands_of, door_of, pages, words

BOOK = [page for page in pages() if page.parent.name == "book" and page.stem != "index"]
SHORT = ("trainer.max_steps=2", "trainer.limit_val_batches=1", "evaluation.max_images=4", "trainer=cpu", "logger=none")
TRAIN = (*SHORT, "callbacks.samples.n=4")
EVALUATE = ("max_images=4", "num_samples=20", "importance_samples=2", "annealing_steps=2", "device=cpu")
SAMPLE = ("n=4", "device=cpu")


def _downloads(text: str) -> bool:
    return bool(re.search(r"data=(?!digits|toy2d|energy2d)\w|data\.download|experiment=\w+_(?:mnist|cifar10)", text))


@pytest.mark.slow
@pytest.mark.parametrize("page", BOOK, ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run=` is the run before it on the page. Scripts have tests of their own, in tests/experiments."""
    monkeypatch.chdir(tmp_path)
    run = None
    for number, command in enumerate(commands_of(page)):
        program = words(command.text)
        if program[0] == "make" or (door := door_of(program)) is None:
            continue
        name, arguments = door
        if name == "train":
            run = None if _downloads(command.text) else tmp_path / str(number)
            more = [*TRAIN, f"hydra.{'sweep' if '-m' in arguments else 'run'}.dir={run}"]
        else:
            arguments = [word for word in arguments if not word.startswith(("run=", "out="))]
            more = [*(EVALUATE if name == "evaluate" else SAMPLE), f"run={run}"]
        if run is not None:
            done = run_program(name, *arguments, *more, capture=capsys)
            assert done.code == 0, f"{command}\n{done.err}"
