"""The folder of one run: its files, written so that a killed process never leaves half of one."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from genmodels.errors import UserError
from genmodels.files import write_text


class RunFolder:
    """Names and formats of a run's files. Nothing is created before it is written.

    Attributes:
        path: the folder.
        checkpoints, samples: its subfolders.
        last, best: the newest checkpoint, and the one with the best validation figure.
        metrics: metrics.json, the final figures.
        curves: the picture of the training curves.
        traceback: where a run that failed says why.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.last = self.checkpoints / "last.ckpt"
        self.best = self.checkpoints / "best.ckpt"
        self.samples = self.path / "samples"
        self.metrics = self.path / "metrics.json"
        self.curves = self.path / "curves.png"
        self.traceback = self.path / "traceback.txt"
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
        folder = cls(path)
        if not folder.path.is_dir():
            raise UserError(f"{key}={path}: there is no such folder")
        if not folder._config.is_file():
            raise UserError(f"{key}={path} is not a run folder: it has no config.yaml")
        return folder

    def read_config(self) -> dict[str, Any]:
        """The saved config, as data: it asks for nothing from outside itself and lets nothing in.

        `data.download` is false and `plugins` is absent, whatever the file says: these are for the user to say again.

        Raises:
            UserError: the file is damaged, or holds an interpolation (`${oc.env:HOME}` would read the environment).
        """
        try:
            config = OmegaConf.load(self._config)
            plain = OmegaConf.to_container(config, resolve=False)
        except (YAMLError, UnicodeDecodeError, OmegaConfBaseException) as error:
            raise UserError(f"{self._config} cannot be read: {str(error).splitlines()[0]}") from error
        if not isinstance(plain, dict):
            raise UserError(f"{self._config} cannot be read: it holds no keys")
        for text in _texts(plain):
            if "${" in text or text == "???":
                raise UserError(
                    f"{self._config} cannot be read: a saved config holds only values, and {text!r} is none"
                )
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
        wandb_id = record.get("wandb_id") or "none"
        if not isinstance(wandb_id, str) or not re.fullmatch("[A-Za-z0-9_-]+", wandb_id):
            raise UserError(f"{self._record}: wandb_id must be letters, digits, - and _, got {wandb_id!r}")
        return record

    def update_record(self, **entries: Any) -> None:
        write_json(self._record, {**self.read_record(), **entries})

    def add_metrics(self, name: str, entry: dict[str, Any]) -> None:
        """Put one figure into metrics.json beside those that are there; the same name is replaced."""
        write_json(self.metrics, {**read_json(self.metrics), name: entry})


def _absolute(path: Any) -> Any:
    return str(Path(path).absolute()) if isinstance(path, str) else path


def _texts(value: object) -> Iterator[str]:
    """Every text in a nest of containers, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty if the file does not exist."""
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}): mend or remove it") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} must hold a JSON object: mend or remove it")
    return found


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace `path` by `content` as JSON, all of it or nothing."""
    write_text(path, json.dumps(content, indent=2) + "\n")
