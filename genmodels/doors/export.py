"""Write a finished run's model as a folder for others."""

from typing import Any, Literal

from genmodels.cli import front_door


def export(
    run: str,
    out: str,
    weights: Literal["best", "last"],
    license: str | None,
    intended_use: str | None,
    plugins: list[str] | str | None,
) -> None:
    """The keys of conf/export.yaml, which says what they mean."""
    from genmodels.plugins import allow
    from genmodels.runs.export import export as write
    from genmodels.runs.finished_run import load_run

    allow(plugins)
    folder = write(load_run(run, weights), out, license, intended_use)
    print(f"written to {folder.path}: genmodels.load({str(folder.path)!r}) gives the model")


@front_door("export")
def main(config: dict[str, Any]) -> None:
    from genmodels.config.checks import check_arguments

    check_arguments(export, config)
    export(**config)
