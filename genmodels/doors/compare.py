"""Lay finished runs side by side."""

from typing import Any

from genmodels.cli import front_door


def compare(runs: list[str]) -> None:
    """The keys of conf/compare.yaml, which says what they mean."""
    from genmodels.runs.compare import compare_runs
    from genmodels.runs.tables import print_table

    print_table(compare_runs(runs))


@front_door("compare")
def main(config: dict[str, Any]) -> None:
    from genmodels.config.checks import check_arguments

    check_arguments(compare, config)
    compare(**config)
