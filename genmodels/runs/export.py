"""Write a run's model as a folder for others: weights as safetensors, its config, its figures and a model card."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save

from genmodels.errors import UserError
from genmodels.files import replacing, write_text
from genmodels.runs.finished_run import Run
from genmodels.runs.folder import RunFolder, write_json
from genmodels.runs.model_card import model_card

_KEPT = (
    *("name", "seed", "published", "parameters", "git", "versions", "steps", "epochs"),
    *("wall_time_seconds", "images_per_second"),
)
_PLACES = ("data.root=", "data_dir=", "output_dir=", "resume=", "hydra.")  # overrides that say where files lie


def export(run: Run, out: str | Path, license: str | None = None, intended_use: str | None = None) -> RunFolder:
    """Write model.safetensors, config.yaml, run.json, metrics.json and README.md, the card, to a new folder.

    Of an averaged run the averaged weights. The folder loads by `genmodels.load` and `load_run`, and model hubs take it
    as it is. Where the data lies, and what the run's machine is called, stays behind.

    Args:
        out: the folder; it may exist if it is empty.
        license: of the weights, an SPDX identifier such as "cc-by-4.0", for the card.
        intended_use: a sentence for the card.

    Raises:
        UserError: the folder holds something already, the licence has no such name, or the disk is full.
    """
    if license is not None and not re.fullmatch(r"[A-Za-z0-9.+-]+", license):
        raise UserError(f"license={license!r} is no SPDX identifier: name one such as cc-by-4.0, or leave it out")
    folder = RunFolder(Path(out).expanduser())
    if folder.path.exists() and (not folder.path.is_dir() or any(folder.path.iterdir())):
        raise UserError(f"out={out} exists and is not empty: name a new folder")
    tensors = {name: tensor.detach().contiguous().clone() for name, tensor in run.model.state_dict().items()}
    with replacing(folder.exported) as file:  # clones: safetensors refuses weights that share memory
        file.write(save(tensors, {"format": "pt", "step": str(run.step), "weights": run.weights}))
    folder.write_config(_without_places(run.config))
    record = _record(run)
    folder.update_record(**record)
    figures = _of_these_weights(run)
    write_json(folder.metrics, figures)
    write_text(folder.path / "README.md", model_card(run, record, figures, license, intended_use))
    return folder


def _without_places(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with paths as they are by default, for those of the run say where somebody's files lie."""
    data = {key: "data" if key == "root" else value for key, value in config["data"].items()}
    return {**config, "data": data, "data_dir": "data", "output_dir": "outputs", "resume": None}


def _record(run: Run) -> dict[str, Any]:
    """What run.json says of how the weights came about, without names of machines and places."""
    record = run.folder.read_record()
    found = {key: record[key] for key in _KEPT if key in record}
    found["overrides"] = [text for text in record.get("overrides", []) if not text.lstrip("+~").startswith(_PLACES)]
    if isinstance(found.get("git"), dict):
        found["git"] = {key: found["git"].get(key) for key in ("commit", "dirty")}
    hardware = record.get("hardware") or {}
    found["hardware"] = {key: hardware.get(key) for key in ("system", "cpu", "cores", "gpus")}
    return {**found, "status": "finished"}


def _of_these_weights(run: Run) -> dict[str, dict[str, Any]]:
    """The figures that were measured of the weights which are exported."""
    return {
        name: {key: value for key, value in entry.items() if key != "pictures"}
        for name, entry in run.folder.read_metrics().items()
        if entry.get("step") == run.step and entry.get("weights") == run.weights
    }
