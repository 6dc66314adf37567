"""Words of a script's command line: read by Hydra's grammar, held against a dataclass."""

from dataclasses import dataclass, field

import pytest

from genmodels.config.script_keys import read_keys
from genmodels.errors import UserError


@dataclass(frozen=True)
class Keys:
    table: str
    rows: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=lambda: [0])
    launcher: str | None = None
    download: bool = False


def test_keys_lists_and_words_that_are_passed_on() -> None:
    words = ["table=a", "rows=[x,y]", "seeds=3", "hydra.launcher.n_jobs=4", "launcher=null", "download=true"]
    assert read_keys(Keys, words, passed="hydra.") == (
        Keys("a", ["x", "y"], [3], None, True),
        ("hydra.launcher.n_jobs=4",),
    )
    assert read_keys(Keys, ["table=a"]) == (Keys("a"), ())
    assert read_keys(Keys, ["table=a", "table=b"])[0] == Keys("b")  # as Hydra has it
    assert read_keys(Keys, ["table=2026", "rows=[3,b]", "launcher=1"])[0] == Keys("2026", ["3", "b"], launcher="1")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "table is missing: give table=<value>, see --help"),
        (["table=null"], "table must be text, got null"),
        (["table=true"], "table must be text, got true"),
        (["table=a", "rwos=[x]"], "unknown key rwos: did you mean rows?"),
        (["table=a", "zzz=1"], "there are download, launcher, rows, seeds, table"),
        (["table=a", "hydra.sweep.dir=x"], "unknown key hydra.sweep.dir"),
        (["table=a", "rows=true"], "rows must be a list (each text), got [True]"),
        (["table=a", "rows={x:1}"], "rows must be a list (each text)"),
        (["table=a", "seeds=[0,true]"], "seeds must be a list (each an integer)"),
        (["table=a", "seeds=1.5"], "seeds must be a list (each an integer)"),
        (["table=a", "seeds=0,1"], "seeds=0,1: write seeds=<value>, and a list as seeds=[<value>,<value>]"),
        (["table=a", "seeds=range(3)"], "seeds=range(3): write"),
        (["table=a", "~rows"], "~rows: write"),
        (["table=a", "+rows=[x]"], "+rows=[x]: write"),
        (["table=a", "download=maybe"], "download must be true or false, got 'maybe'"),
    ],
)
def test_a_mistake_is_a_sentence(words: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as told:
        read_keys(Keys, words)
    assert sentence in str(told.value)
