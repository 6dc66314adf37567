"""Score a finished run on a split of its data and keep the figure in its metrics.json."""

from dataclasses import asdict
from typing import Any, Literal

import torch

from genmodels.config.targets import build
from genmodels.data import BatchLoader, EpochSampler
from genmodels.data.seeding import generator_for
from genmodels.errors import UserError
from genmodels.evaluation.metrics.likelihood import Likelihood, evaluate_likelihood
from genmodels.evaluation.metrics.reverse_kl import evaluate_reverse_kl
from genmodels.objectives.reverse_kl import ReverseKL
from genmodels.objectives.units import metric_name
from genmodels.progress_bar import progress
from genmodels.runs.finished_run import Run

Split = Literal["test", "val", "train"]


def score_run(
    run: Run,
    split: Split = "test",
    importance_samples: int = 1,
    max_images: int | None = None,
    batch_size: int = 100,
    device: str = "auto",
    seed: int = 0,
    data_dir: str | None = None,
) -> str:
    """Estimate the likelihood of a split and write it to metrics.json, beside figures of other splits and K.

    Of "train" the images are seen without augmentation, in a random order, less what does not fill a batch. A model
    that was fitted to a density is also measured by `reverse_kl`, on as many samples of its own.

    Args:
        run: with the weights to score.
        split: part of the run's own data set.
        importance_samples: K; an exact model needs and takes 1.
        max_images: score only so many.
        batch_size: images x samples that go through the model at a time.
        device: "auto", "cpu", "cuda", "cuda:1".
        seed: of the noise.
        data_dir: where the data lies, if no longer where the run found it.

    Returns: the figures, each as a line of text.
    """
    check_at_least(
        1,
        importance_samples=importance_samples,
        max_images=1 if max_images is None else max_images,
        batch_size=batch_size,
    )
    samples = 1 if run.model.exact else importance_samples
    data = evaluation_data(run, max(1, batch_size // samples), data_dir)
    likelihood = evaluate_likelihood(
        run.model.to(chosen_device(device)),
        progress(_batches(data, split), f"scoring {split}"),
        importance_samples=importance_samples,
        max_images=max_images,
        rows=batch_size,
        seed=seed,
    )
    figures = {metric_name(run.model): likelihood}
    objective = build(run.config["objective"], "objective")
    if isinstance(objective, ReverseKL):
        figures[objective.name] = evaluate_reverse_kl(run.model, objective, likelihood.num_images, seed)
    lines = []
    for metric, figure in figures.items():
        name = f"{split}/{metric}"
        entry = asdict(figure) | {
            "split": split,
            "weights": run.weights,
            "step": run.step,
            "checkpoint": run.checkpoint.name,
            "seed": seed,
        }
        run.folder.add_metrics(_key(name, entry, max_images), entry)
        lines.append(f"{name} {_in_words(figure)}, {run.weights} weights of step {run.step}")
    return "\n".join(lines)


def evaluation_data(run: Run, batch_size: int, data_dir: str | None = None) -> Any:
    """The run's data module with this batch size, without augmentation."""
    node = dict(run.config["data"], batch_size=batch_size)
    node.update({key: value for key, value in (("flip", False), ("shift", 0.0)) if key in node})
    if data_dir is not None:
        node["root"] = data_dir
    return build(node, "data")


def random_test_examples(run: Run, count: int, batch_size: int, seed: int, data_dir: str | None = None) -> BatchLoader:
    """A loader of `count` different examples of the run's test set, at random.

    Raises:
        UserError: there are not so many.
    """
    loader = evaluation_data(run, batch_size, data_dir).test_dataloader()
    if len(loader.examples) < count:
        raise UserError(f"{count} test examples are needed and there are {len(loader.examples)}: choose a smaller n")
    rows = torch.randperm(len(loader.examples), generator=generator_for("test examples", seed))[:count]
    return BatchLoader(loader.examples.part(rows), EpochSampler(count, batch_size, shuffle=False), loader.transform)


def chosen_device(name: str) -> torch.device:
    """The device that `name` means; "auto" is the first GPU if there is one.

    Raises:
        UserError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={name} is not available here: choose auto, cpu or cuda:<number>") from error
    return device


def check_at_least(smallest: int, **values: float) -> None:
    """Raise UserError for the first value, passed under its own name, that is too small."""
    for name, value in values.items():
        if value < smallest:
            raise UserError(f"{name} must be at least {smallest}, got {value}")


def _batches(data: Any, split: Split) -> Any:
    loaders = {"train": data.train_dataloader, "val": data.val_dataloader, "test": data.test_dataloader}
    return loaders[split]()


def _key(name: str, entry: dict[str, Any], max_images: int | None) -> str:
    """What sets figures of one run apart: "test/bits_per_dim K=16", "... K=16 first 500", "... K=1 last.ckpt"."""
    parts = [name, f"K={entry['importance_samples']}"]
    if max_images is not None:
        parts.append(f"first {max_images}")
    if entry["checkpoint"] != "best.ckpt":
        parts.append(entry["checkpoint"])
    return " ".join(parts)


def _in_words(likelihood: Likelihood) -> str:
    error = "" if likelihood.standard_error is None else f" ± {likelihood.standard_error:.4f}"
    exact = likelihood.exact_or_bound == "exact"
    kind = "exact, one sample is enough" if exact else f"bound, K={likelihood.importance_samples}"
    in_nats = f" = {likelihood.nats:.2f} nats" if likelihood.unit == "bits/dim" else ""
    return f"{likelihood.mean:.4f}{error} {likelihood.unit}{in_nats} ({kind}, {likelihood.num_images:,} examples)"
