"""Score a finished run: `python evaluate.py run=<folder> split=test importance_samples=16`."""

from typing import Any, Literal

try:
    from genmodels.cli import front_door
    from genmodels.config.checks import check_arguments
except KeyboardInterrupt:  # torch takes its time to load
    raise SystemExit(130) from None


def evaluate(
    run: str,
    split: Literal["test", "val", "train"],
    importance_samples: int,
    max_images: int | None,
    batch_size: int,
    weights: Literal["best", "last"],
    device: str,
    seed: int,
    data_dir: str | None,
) -> None:
    """The keys of conf/evaluate.yaml, which says what they mean."""
    from genmodels.evaluation.scoring import score_run
    from genmodels.runs.finished_run import load_run

    loaded = load_run(run, weights)
    print(score_run(loaded, split, importance_samples, max_images, batch_size, device, seed, data_dir))
    print(f"written to {loaded.folder.metrics}")


@front_door("evaluate")
def main(config: dict[str, Any]) -> None:
    check_arguments(evaluate, config)
    evaluate(**config)


if __name__ == "__main__":
    main()
