"""The folder of one run: its files, written so that a killed process never leaves half of one."""

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from genmodels.config.compose import to_plain
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
        try:
            config = OmegaConf.load(self._config)
            if isinstance(config, DictConfig):
                return to_plain(config)
        except (YAMLError, OmegaConfBaseException) as error:
            raise UserError(f"{self._config} cannot be read: {str(error).splitlines()[0]}") from error
        raise UserError(f"{self._config} cannot be read: it holds no keys")

    def write_config(self, config: dict[str, Any]) -> None:
        """Write config.yaml, in which the data is found from any folder."""
        data = {key: _absolute(value) if key == "root" else value for key, value in config["data"].items()}
        found = {**config, "data": data, "data_dir": _absolute(config["data_dir"])}
        write_text(self._config, OmegaConf.to_yaml(OmegaConf.create(found)))

    def read_record(self) -> dict[str, Any]:
        """run.json, or an empty dict before it is first written."""
        return read_json(self._record)

    def update_record(self, **entries: Any) -> None:
        write_json(self._record, {**self.read_record(), **entries})

    def add_metrics(self, name: str, entry: dict[str, Any]) -> None:
        """Put one figure into metrics.json beside those that are there; the same name is replaced."""
        write_json(self.metrics, {**read_json(self.metrics), name: entry})


def _absolute(path: Any) -> Any:
    return str(Path(path).absolute()) if isinstance(path, str) else path


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
