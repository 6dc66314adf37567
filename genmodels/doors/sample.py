"""Draw from a finished run."""

from typing import Any, Literal

from genmodels.cli import front_door
from genmodels.errors import UserError

_NOT_OF: dict[str, dict[str, Any]] = {
    "interpolate": {"temperature": 1, "truncation": None, "guidance": None, "method": None, "complete": None},
    "complete": {"truncation": None, "guidance": None, "labels": None},
}
"""By what is drawn instead of samples, the keys that say nothing there, with the value that they have untouched."""


def sample(
    run: str,
    n: int,
    temperature: float,
    truncation: float | list[float] | None,
    guidance: float | None,
    seed: int,
    labels: int | list[int] | None,
    method: Literal["cached", "naive", "jacobi"] | None,
    complete: Literal["top_half"] | None,
    interpolate: bool,
    weights: Literal["best", "last"],
    batch_size: int,
    device: str,
    out: str | None,
    data_dir: str | None,
    plugins: list[str] | str | None,
) -> None:
    """The keys of conf/sample.yaml, which says what they mean."""
    from genmodels.evaluation.completion import complete as finish
    from genmodels.evaluation.interpolation import interpolate as walk
    from genmodels.evaluation.sampling import draw
    from genmodels.evaluation.setting import Setting
    from genmodels.plugins import allow
    from genmodels.runs.finished_run import load_run

    allow(plugins)
    setting = Setting(load_run(run, weights), batch_size, device, seed, data_dir, out)
    if interpolate:
        paths = walk(setting, n, labels)
    elif complete is not None:
        paths = finish(setting, complete, n, temperature, method or "cached")
    else:
        paths = draw(setting, n, temperature, labels, method, truncation, guidance)
    print("\n".join(map(str, paths)))


@front_door("sample")
def main(config: dict[str, Any]) -> None:
    from genmodels.config.checks import check_arguments

    check_arguments(sample, config)
    _check_choices(config)
    sample(**config)


def _check_choices(config: dict[str, Any]) -> None:
    for drawn, keys in _NOT_OF.items():
        for key, untouched in keys.items():
            if config[drawn] and config[key] != untouched:
                raise UserError(f"{key}={config[key]} does nothing beside {drawn}: leave one of them out")
