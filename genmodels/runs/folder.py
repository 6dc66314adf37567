"""The folder of one run: its files, written so that a killed process never leaves half of one."""

import io
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from genmodels.errors import UserError
from genmodels.files import read_text, write_text

_LARGEST_CONFIG = 1_000_000  # bytes; ours have some thousands
_LARGEST_JSON = 10_000_000  # bytes; a run.json has some thousands, and as many again for every time it went on
_LARGEST_INTEGER = 2**63
_RECORDED = {"status": str, "started": str, "pid": int, "hardware": dict, "overrides": list, "earlier": list}


class RunFolder:
    """Names and formats of a run's files. Nothing is created before it is written.

    Attributes:
        path: the folder.
        checkpoints, samples: its subfolders.
        last, best: the newest checkpoint, and the one with the best validation figure.
        exported: weights alone, of a folder that `export` made.
        metrics: metrics.json, the final figures.
        curves: the picture of the training curves.
        traceback: where a run that failed says why.
        written: what training writes in place or below; other files it replaces whole.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.last = self.checkpoints / "last.ckpt"
        self.best = self.checkpoints / "best.ckpt"
        self.exported = self.path / "model.safetensors"
        self.samples = self.path / "samples"
        self.metrics = self.path / "metrics.json"
        self.curves = self.path / "curves.png"
        self.traceback = self.path / "traceback.txt"
        self.written = (
            self.checkpoints,
            self.samples,
            *(self.path / n for n in ("metrics.csv", "wandb", ".wandb", "tensorboard")),
        )
        self._config = self.path / "config.yaml"
        self._record = self.path / "run.json"

    @classmethod
    def existing(cls, path: str | Path, key: str) -> "RunFolder":
        """The folder of a run that was started before.

        Args:
            path: what the user gave.
            key: under which name, for the message.

        Raises:
            UserError: there is no such folder, or it is not a run's.
        """
        folder = cls(Path(path).expanduser())
        if not folder.path.is_dir():
            raise UserError(f"{key}={path}: there is no such folder")
        if not folder._config.is_file():
            raise UserError(f"{key}={path} is not a run folder: it has no config.yaml")
        return folder

    def require_new(self) -> None:
        """Raises UserError if a run has begun here: the rows of a second one would mix with its own."""
        if self._config.exists():
            raise UserError(
                f"{self.path} holds a run already: resume={self.path} goes on with it, and a new run needs a new folder"
            )

    def read_config(self) -> dict[str, Any]:
        """The saved config, as data: it asks for nothing from outside itself and lets nothing in.

        `data.download` is false and `plugins` is absent, whatever the file says: these are for the user to say again.

        Raises:
            UserError: the file is damaged, would fill the memory, or holds an interpolation (`${oc.env:HOME}` would
                read the environment).
        """
        try:
            plain = _parsed(self._config)
            odd = next((leaf for leaf in _leaves(plain) if not _is_value(leaf)), None)
        except RecursionError:
            raise UserError(f"{self._config} cannot be read: it is nested too deep") from None
        except (OSError, yaml.YAMLError, ValueError, OmegaConfBaseException) as error:
            raise UserError(f"{self._config} cannot be read: {str(error).splitlines()[0]}") from error
        if not isinstance(plain, dict) or not plain:
            raise UserError(f"{self._config} cannot be read: it holds no keys")
        if odd is not None:
            raise UserError(f"{self._config} cannot be read: a saved config holds only values, and {odd!r} is none")
        plain.pop("plugins", None)
        if isinstance(plain.get("data"), dict) and "download" in plain["data"]:
            plain["data"]["download"] = False
        return {str(key): value for key, value in plain.items()}

    def write_config(self, config: dict[str, Any]) -> None:
        """Write config.yaml, in which the data is found from any folder, and which lets no package in."""
        data = {key: _absolute(value) if key == "root" else value for key, value in config["data"].items()}
        saved = {**config, "data": data, "data_dir": _absolute(config["data_dir"])}
        saved.pop("plugins", None)
        write_text(self._config, OmegaConf.to_yaml(OmegaConf.create(saved)))

    def read_record(self) -> dict[str, Any]:
        """run.json, or an empty dict before it is first written.

        Raises:
            UserError: it is damaged, or its wandb_id, which becomes part of a file name, is none.
        """
        record = read_json(self._record)
        for key, kind in _RECORDED.items():
            if not isinstance(record.get(key), kind | None):
                raise UserError(f"{self._record}: {key} is not as a run writes it: mend or remove the file")
        wandb_id = record.get("wandb_id") or "none"
        if not isinstance(wandb_id, str) or not re.fullmatch("[A-Za-z0-9_-]+", wandb_id):
            raise UserError(f"{self._record}: wandb_id must be letters, digits, - and _, got {wandb_id!r}")
        return record

    def update_record(self, **entries: Any) -> None:
        write_json(self._record, {**self.read_record(), **entries})

    def set_damaged_aside(self) -> list[Path]:
        """Rename run.json and metrics.json where they cannot be read, so that a run with a checkpoint can go on.

        Returns: their new names; what they held is written anew.
        """
        moved = []
        for path, read in ((self._record, self.read_record), (self.metrics, self.read_metrics)):
            try:
                read()
            except UserError:
                aside = path.with_name(f"{path.name}.damaged-{uuid.uuid4().hex[:8]}")
                moved.append(path.rename(aside))
        return moved

    def read_metrics(self) -> dict[str, dict[str, Any]]:
        """metrics.json, or an empty dict before it is first written.

        Raises:
            UserError: it is damaged, or an entry has no mean.
        """
        found = read_json(self.metrics)
        for name, entry in found.items():
            if not isinstance(entry, Mapping) or not _is_figure(entry):
                raise UserError(f"{self.metrics}: the entry {name!r} holds no figure: mend or remove it")
        return found

    def keep_inside(self, *paths: Path) -> None:
        """Hold files or folders that are about to be written against links that lead out of the run folder.

        Raises:
            UserError: one does: somebody else's folder would otherwise choose what is overwritten.
        """
        for path in paths:
            target = path.resolve()
            if not target.is_relative_to(self.path.resolve()):
                raise UserError(
                    f"{path} is a link to {target}, outside of the run folder: remove it, or copy its target"
                )

    def add_metrics(self, name: str, entry: dict[str, Any]) -> None:
        """Put one figure into metrics.json beside those that are there; the same name is replaced."""
        write_json(self.metrics, {**read_json(self.metrics), name: entry})


def _absolute(path: Any) -> Any:
    return str(Path(path).expanduser().absolute()) if isinstance(path, str) else path


def _parsed(path: Path) -> object:
    """A YAML file as plain containers. Not one with aliases, of which a few lines make more than fits into memory."""
    text = read_text(path, _LARGEST_CONFIG)
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
        raise ValueError("a saved config holds no aliases (*name)")
    return OmegaConf.to_container(OmegaConf.load(io.StringIO(text)), resolve=False)


def _leaves(value: object) -> Iterator[object]:
    """Everything in a nest of containers that is none itself, keys too."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(key)
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _is_value(leaf: object) -> bool:
    if isinstance(leaf, str):
        return "${" not in leaf and leaf != "???"
    return leaf is None or isinstance(leaf, bool | int | float)


def _is_figure(entry: Mapping[str, Any]) -> bool:
    """Whether mean and standard error, if there is one, are numbers that can be shown."""
    mean, error = entry.get("mean"), entry.get("standard_error")
    return all(isinstance(v, float) or (isinstance(v, int) and abs(v) < _LARGEST_INTEGER) for v in (mean, error or 0))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty if the file does not exist."""
    if not path.exists():
        return {}
    try:
        found = json.loads(read_text(path, _LARGEST_JSON))
    except RecursionError:
        raise UserError(f"{path} is nested too deep: mend or remove it") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not valid JSON ({error}): mend or remove it") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} must hold a JSON object: mend or remove it")
    return found


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace `path` by `content` as JSON, all of it or nothing."""
    write_text(path, json.dumps(content, indent=2) + "\n")
