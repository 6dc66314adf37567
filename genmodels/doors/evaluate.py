"""Score a finished run."""

from typing import Any, Literal

from genmodels.cli import front_door
from genmodels.errors import UserError


def evaluate(
    run: str,
    split: Literal["test", "val", "train"],
    metrics: list[str] | None,
    importance_samples: int,
    annealing_steps: int,
    max_images: int | None,
    features: str,
    num_samples: int,
    batch_size: int,
    weights: Literal["best", "last"],
    device: str,
    devices: int | str,
    seed: int,
    data_dir: str | None,
    plugins: list[str] | str | None,
) -> None:
    """The keys of conf/evaluate.yaml, which says what they mean."""
    from genmodels.evaluation.scoring import in_words, keep, score
    from genmodels.evaluation.setting import Setting
    from genmodels.evaluation.team import joined_team
    from genmodels.plugins import allow
    from genmodels.runs.finished_run import load_run

    allow(plugins)
    team = joined_team()
    loaded = load_run(run, weights)
    setting = Setting(loaded, batch_size, device, seed, data_dir)
    asked = (split, metrics, importance_samples, max_images, annealing_steps, features, num_samples)
    figures = score(setting, *asked, team)
    if team.rank > 0:
        return
    if not figures:
        raise UserError(f"no metric applies to {type(loaded.model).__name__} unasked: name some, metrics=[...]")
    print("\n".join(in_words(name, figure, loaded) for name, figure in figures.items()))
    keep(setting, figures, max_images)  # last: a full disk or a read-only run takes no figure from the user
    print(f"written to {loaded.folder.metrics}", flush=True)


@front_door("evaluate")
def main(config: dict[str, Any]) -> None:
    from genmodels.config.checks import check_arguments
    from genmodels.config.devices import evaluating_processes
    from genmodels.runs.launch import launch

    check_arguments(evaluate, config)
    processes = evaluating_processes(config["devices"], config["device"])
    if processes == 1:
        evaluate(**config)
    else:
        launch(_evaluate, processes, config)


def _evaluate(config: dict[str, Any]) -> None:
    evaluate(**config)
