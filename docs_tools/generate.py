"""mkdocs-gen-files script: the pages that nobody writes, and the navigation.

The configuration reference is made from conf/, the API reference from the docstrings (mkdocstrings fills it in), and
SUMMARY.md, which mkdocs-literate-nav reads, from `NAVIGATION` below. A page of docs/ that it does not name is put under
"More", and a name that has no page is passed over.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import mkdocs_gen_files

ROOT = Path(__file__).resolve().parents[1]
DOCS, CONF, PACKAGE = ROOT / "docs", ROOT / "conf", ROOT / "genmodels"
SKIPPED = {"base", "hydra"}  # groups that nobody chooses from

NAVIGATION = {
    "Start": ["index.md", "quickstart.md", "commands.md", "results.md", "models.md", "extending.md"],
    "The book": [
        "book/index.md",
        "book/change_of_variables.md",
        "book/linear_flows.md",
        "book/autoregressive_models.md",
        "book/coupling.md",
        "book/autoregressive_flows.md",
        "book/dequantisation.md",
        "book/residual_flows.md",
        "book/continuous_flows.md",
        "book/latent_variables.md",
        "book/amortisation.md",
        "book/priors.md",
        "book/gans.md",
        "book/conditional_generation.md",
    ],
    "Families": [
        "families/flows.md",
        "families/residual_and_continuous_flows.md",
        "families/autoregressive.md",
        "families/vaes.md",
        "families/gans.md",
    ],
    "Measuring": [
        "latents.md",
        "samples.md",
        "gans.md",
        "tables.md",
        "report.md",
        "experiments/results/gallery.md",
        "experiments/results/gan_stability.md",
        "experiments/results/elbo_surgery.md",
        "experiments/results/flow_matching.md",
    ],
    "Machines": ["devices.md", "speed.md", "scaling.md", "sweeps.md", "experiments/benchmarks/README.md"],
    "Files of others": ["foreign_files.md"],
}


def first_sentence(text: str) -> str:
    """Of a configuration file's head, as `--help <group>` shows it."""
    head = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    said = " ".join(line[1:].strip() for line in head if not line.startswith("# @"))
    return re.split(r"(?<=\.) (?=[A-Z])", said)[0]


def groups() -> Iterator[tuple[str, list[Path]]]:
    """Every group with the files of its options."""
    for folder in sorted(path for path in CONF.rglob("*") if path.is_dir()):
        name = folder.relative_to(CONF).as_posix()
        if not SKIPPED & set(name.split("/")):
            yield name, sorted(folder.glob("*.yaml"))


def page_of_group(group: str, options: list[Path]) -> str:
    """A group's options with what each says of itself, and below all keys with their comments."""
    lines = [f"# {group}", "", f"`{group}=<option>` on the command line.", "", "| option | what it is |", "|---|---|"]
    texts = {option.stem: option.read_text() for option in options}
    lines += [f"| `{name}` | {first_sentence(text).replace('|', chr(92) + '|')} |" for name, text in texts.items()]
    for name, text in texts.items():
        lines += ["", f'??? note "{group}={name}"', "", "    ```yaml"]
        lines += [f"    {line}".rstrip() for line in text.splitlines()]
        lines += ["    ```"]
    return "\n".join(lines) + "\n"


def page_of_doors() -> str:
    """The keys that belong to no group, door by door."""
    lines = ["# The commands", ""]
    for file in sorted(CONF.glob("*.yaml"), key=lambda file: (file.stem != "config", file.stem)):
        door = "train" if file.stem == "config" else file.stem
        body = file.read_text().split("\nhydra:\n")[0].rstrip()
        lines += [f"## {door}.py", "", first_sentence(body), "", "```yaml", body, "```", ""]
    return "\n".join(lines)


def rooms() -> Iterator[tuple[str, list[str]]]:
    """Every folder of the package with the full names of its modules that say something of themselves."""
    for folder in sorted({file.parent for file in PACKAGE.rglob("*.py")}):
        name = ".".join(folder.relative_to(ROOT).parts)
        modules = [f"{name}.{file.stem}" for file in sorted(folder.glob("*.py")) if not file.stem.startswith("_")]
        if modules:
            yield name, modules


def page_of_room(name: str, modules: list[str]) -> str:
    return "\n\n".join([f"# {name}", *(f"::: {module}" for module in modules)]) + "\n"


def title(page: Path) -> str:
    """The first heading of a page, of the site's own or of one that comes from experiments/."""
    heading = re.search(r"^# (.+)$", page.read_text(), re.MULTILINE)
    return heading[1] if heading else page.stem


def navigation(generated: dict[str, str]) -> str:
    """SUMMARY.md: `NAVIGATION`, what it does not name, and the generated pages by their titles."""
    lines = []
    named = {page for pages in NAVIGATION.values() for page in pages}
    rest = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
    for heading, pages in [*NAVIGATION.items(), ("More", [page for page in rest if page not in named])]:
        found = [(page, path) for page in pages if (path := _file(page)).is_file()]
        lines += [f"- {heading}"] if found else []
        lines += [f"    - [{title(path)}]({page})" for page, path in found]
    tables = sorted(ROOT.glob("experiments/results/*/*/table.md"))
    lines += ["- Measured tables"] if tables else []
    lines += [f"    - [{path.parts[-3]}, {path.parts[-2]}]({path.relative_to(ROOT).as_posix()})" for path in tables]
    for heading, folder in (("Configuration", "reference/configuration"), ("API", "reference/api")):
        lines.append(f"- {heading}")
        lines += [f"    - [{name}]({page})" for page, name in generated.items() if page.startswith(folder)]
    return "\n".join(lines) + "\n"


def _file(page: str) -> Path:
    return (ROOT if page.startswith("experiments/") else DOCS) / page


def main() -> None:
    titles, pages = {}, {"reference/configuration/commands.md": ("the commands", page_of_doors())}
    for group, options in groups():
        pages[f"reference/configuration/{group.replace('/', '_')}.md"] = (group, page_of_group(group, options))
    for room, modules in rooms():
        pages[f"reference/api/{room}.md"] = (room, page_of_room(room, modules))
    for page, (name, text) in pages.items():
        titles[page] = name
        with mkdocs_gen_files.open(page, "w") as file:
            file.write(text)
    with mkdocs_gen_files.open("SUMMARY.md", "w") as file:
        file.write(navigation(titles))


if __name__ == "<run_path>" or __name__ == "__main__":
    main()
