"""Measure a finished run and keep the figures in its metrics.json."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from genmodels import plugins
from genmodels.config.targets import build
from genmodels.errors import UserError
from genmodels.evaluation.metrics import METRICS, Figure, Metric, Trained
from genmodels.evaluation.metrics.metric import Split
from genmodels.evaluation.setting import Setting
from genmodels.models.model import Model
from genmodels.objectives import Objective
from genmodels.ranges import at_least
from genmodels.runs.finished_run import Run


def score(
    setting: Setting,
    split: Split = "test",
    metrics: Sequence[str] | None = None,
    importance_samples: int = 1,
    max_images: int | None = None,
    annealing_steps: int = 1000,
    features: str = "auto",
    num_samples: int = 10_000,
) -> dict[str, Figure]:
    """Measure `metrics` on a split; nothing is written.

    Args:
        split: part of the run's own data set.
        metrics: names; None for all that apply to the model and are cheap.
        importance_samples: K; an exact model needs and takes 1.
        max_images: measure on so many only.
        annealing_steps: temperatures of annealed importance sampling.
        features: in which samples are compared with data, see `genmodels.features.chosen_features`.
        num_samples: to draw for figures of samples.

    Returns: the figures by full name, "test/bits_per_dim".

    Raises:
        UserError: a metric that is asked for does not exist or does not apply.
    """
    at_least(1, under="", importance_samples=importance_samples, max_images=max_images, annealing_steps=annealing_steps)
    setting.hold(num_samples=num_samples)
    objective: Objective = build(setting.run.config["objective"], "objective")
    chosen = chosen_metrics(metrics, setting.model, objective)
    trained = Trained(
        model=setting.model,
        objective=objective,
        split=split,
        batches=lambda batch_size: setting.batches(split, batch_size),
        training_batches=setting.training_set,
        picture=lambda name: setting.path(name).with_suffix(".png"),
        importance_samples=importance_samples,
        max_examples=max_images,
        annealing_steps=annealing_steps,
        batch_size=setting.batch_size,
        seed=setting.seed,
        features=features,
        num_samples=num_samples,
        modes=setting.data(setting.batch_size).source.modes,
    )
    for metric in chosen:
        metric.check(trained)
    figures = {}
    for metric in chosen:
        figure = metric.measure(trained)
        if not isinstance(figure, Figure):
            name = plugins.public_name(type(metric))
            raise UserError(f"{name}.measure has to give a Figure, and gives a {type(figure).__name__}")
        protocol = {**figure.protocol, **setting.model.protocol}
        figures[f"{figure.split or split}/{figure.name}"] = replace(figure, protocol=protocol)
    return figures


def keep(setting: Setting, figures: Mapping[str, Figure], max_images: int | None = None) -> None:
    """Write what `score` gave to the run's metrics.json, beside figures of other splits and protocols.

    Args:
        figures: by full name.
        max_images: as for `score`.
    """
    run = setting.run
    for name, figure in figures.items():
        entry = asdict(figure) | {
            "split": name.partition("/")[0],
            "max_examples": max_images,
            "seed": setting.seed,
            "weights": run.weights,
            "step": run.step,
            "checkpoint": run.checkpoint.name,
        }
        run.folder.add_metrics(_key(name, entry), entry)


def chosen_metrics(names: Sequence[str] | None, model: Model, objective: Objective) -> list[Metric]:
    """The metrics of these names, or all cheap ones that apply.

    Raises:
        UserError: a name is unknown, or its metric does not apply to the model.
    """
    if names is None:
        every = [metric() for metric in METRICS.values() if metric.is_cheap]
        return [metric for metric in every if metric.applies(model, objective)]
    chosen = [_metric(name) for name in names]
    for metric in chosen:
        if not metric.applies(model, objective):
            raise UserError(f"metrics=[{metric.name}] does not apply to {type(model).__name__}")
    return chosen


def _metric(name: str) -> Metric:
    if "." in name:
        found = plugins.resolve(name, Metric, "metrics")
        try:
            return found()
        except Exception as error:  # whatever a user's class does
            raise UserError(f"metrics={name} cannot be built: {plugins.in_one_line(error)}") from error
    if name not in METRICS:
        raise UserError(f"metrics=[{name}]: there is no such metric; there is {', '.join(METRICS)}")
    return METRICS[name]()


def in_words(name: str, figure: Figure, run: Run) -> str:
    """A line: "test/bits_per_dim 3.3500 ± 0.0100 bits/dim (bound, K=16, 10,000 examples), ema weights of step 9".

    Below it a line for each part and each picture.
    """
    unit = f" {figure.unit}" if figure.unit else ""
    others = "".join(f" = {value:.2f} {unit}" for unit, value in figure.other_units.items())
    samples = figure.protocol.get("importance_samples")
    terms = [figure.kind, *([f"K={samples}"] if samples and figure.kind == "bound" else [])]
    terms.append(f"{figure.num_examples:,} {figure.counted}")
    if "num_real" in figure.protocol:
        terms.append(f"{figure.protocol['num_real']:,} real")
    if "features" in figure.protocol:
        terms.append(f"features {figure.protocol['features']} {figure.protocol['features_sha256']}")
    if "likelihood" in figure.protocol:
        terms.append(f"likelihood {figure.protocol['likelihood']}")
    if "log_det" in figure.protocol:
        terms.append(f"log-determinants {figure.protocol['log_det']}")
    whole = _with_error(figure.mean, figure.standard_error)
    parts = [f"  {part} {_with_error(*value)}{unit}" for part, value in figure.parts.items()]
    pictures = [f"  picture {picture}" for picture in figure.pictures]
    first = f"{name} {whole}{unit}{others} ({', '.join(terms)}), {run.weights} weights of step {run.step}"
    return "\n".join([first, *parts, *pictures])


def _with_error(mean: float, error: float | None) -> str:
    return f"{mean:.4f}" if error is None else f"{mean:.4f} ± {error:.4f}"


def _key(name: str, entry: dict[str, Any]) -> str:
    """What sets figures of one run apart: "test/bits_per_dim K=16", "... K=16 first 500", "... K=1 last.ckpt".

    T is the number of temperatures, N that of samples: "test/fid N=10000".
    """
    parts = [name]
    if "importance_samples" in entry["protocol"]:
        parts.append(f"K={entry['protocol']['importance_samples']}")
    if "annealing_steps" in entry["protocol"]:
        parts.append(f"T={entry['protocol']['annealing_steps']}")
    if "num_samples" in entry["protocol"]:
        parts.append(f"N={entry['protocol']['num_samples']}")
    if entry["max_examples"] is not None:
        parts.append(f"first {entry['max_examples']}")
    if entry["checkpoint"] not in ("best.ckpt", "model.safetensors"):  # that of an export is what was chosen for it
        parts.append(entry["checkpoint"])
    return " ".join(parts)
