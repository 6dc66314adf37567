"""The commands that README and the pages of docs/ show, and what each is held against."""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from command_line import ROOT

from genmodels.commands import DOORS

PROGRAM = r"(?:python3? \S|genmodels-\w|make \w|pip \w|torchrun \S|docker \w|wandb \w)"
LINE = re.compile(rf"^\s*(?:\w+=\S+ )*({PROGRAM}.*)$")
SPAN = re.compile(rf"`((?:\w+=\S+ )?{PROGRAM}[^`]*)`")
ENDS = re.compile(r"\s+#.*| (?:&&|\|\|?|;|>|&)(?: |$)")  # what is behind is another program, or a file
HEAD = re.compile(r"^\| command `(python \S+ )\.\.\.` \|")  # of a table whose rows begin with what follows
ROW = re.compile(r"^\| [^`|]*`([^`]+)`")
NUMBERS = {"<steps>", "<n>", "<epochs>"}


@dataclass(frozen=True)
class Command:
    """A command and where it stands."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands_of(page: Path) -> list[Command]:
    """Indented and fenced lines that start with a program, spans of code in a text that do, and tables' rows of them.

    In their order on the page.
    """
    name, found, prose, fenced, waiting = page.relative_to(ROOT).as_posix(), [], [], False, ""
    head = None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        head = HEAD.match(line) or (head if line.startswith("|") else None)
        if head and (row := ROW.match(line)) and not HEAD.match(line):
            found.append(Command(name, number, head[1] + row[1]))
        code = fenced or line.startswith(("    ", "\t"))
        if line.lstrip().startswith("```"):
            fenced, code = not fenced, True
        prose.append("" if code else line)
        whole = (waiting + line.strip()) if waiting else line
        waiting = ""
        if code and (match := LINE.match(whole)):
            if whole.endswith("\\"):
                waiting = whole[:-1]
            else:
                found.append(Command(name, number, ENDS.split(match[1])[0]))
    text = "\n".join(prose)
    for span in SPAN.finditer(text):
        found.append(Command(name, text.count("\n", 0, span.start()) + 1, " ".join(span[1].split())))
    return sorted(found, key=lambda command: command.line)


def words(text: str) -> list[str]:
    """A command's words: `<run folder>` becomes one word, `...` nothing, a comment falls away."""
    text = re.sub(r"<[^<>]*>", lambda match: "1" if match[0] in NUMBERS else "placeholder", text)
    text = re.sub(r"\S+=\[?\.\.\.\]?(?=\s|$)", "", text)
    text = re.sub(r"\b(?:experiment|model|data|objective)=placeholder\b", "", text)
    return [word for word in shlex.split(text, comments=True) if word != "..."]


def door_of(program: list[str]) -> tuple[str, list[str]] | None:
    """The front door that a command starts and its arguments, however it is started."""
    first, rest = program[0], program[1:]
    if first.startswith("genmodels-"):
        return first.removeprefix("genmodels-"), rest
    if rest[:2] == ["-m", "genmodels"]:
        return rest[2], rest[3:]
    if rest and rest[0].removesuffix(".py") in DOORS and rest[0].endswith(".py"):
        return rest[0].removesuffix(".py"), rest[1:]
    return None


def trials(overrides: Iterable[str]) -> Iterator[list[str]]:
    """A sweep's overrides as so many lists that each value occurs; one list where nothing is swept."""
    from genmodels.config.overrides import parsed

    columns = []
    for text in overrides:
        (override,) = parsed([text]) or [None]
        swept = override is not None and override.is_sweep_override()
        columns.append([f"{override.key_or_group}={v}" for v in override.sweep_string_iterator()] if swept else [text])
    for row in zip_longest(*columns):
        yield [value if value is not None else column[0] for value, column in zip(row, columns, strict=True)]


def usages(script: Path) -> list[tuple[int, int]]:
    """How many arguments a script takes, least and most, by each line of its docstring that shows it."""
    head = script.read_text().split('"""')[1]
    shown = re.findall(rf"^\s*python \S*{script.name}(.*)$", head, re.MULTILINE)
    counts = []
    for arguments in shown:
        required = re.sub(r"\[[^\]]*\]", "", arguments)
        optional = "".join(re.findall(r"\[([^\]]*)\]", arguments))
        least, more = (len(re.findall(r"<[^>]*>|\S+", text.partition("#")[0])) for text in (required, optional))
        counts.append((least, least + more))
    return counts
