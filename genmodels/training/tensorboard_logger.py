"""TensorBoard."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from PIL import Image
from pytorch_lightning.utilities import rank_zero_only

from genmodels.errors import UserError
from genmodels.training.run_logger import RunLogger


class TensorBoardRun(RunLogger):
    """Logs metrics, pictures and the config into <folder>/tensorboard: `tensorboard --logdir outputs` shows all runs.

    Of a resumed run TensorBoard shows each step once: what was logged after the checkpoint is hidden.

    Args:
        folder: run folder.
        config: shown as text.

    Raises:
        UserError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        super().__init__()
        if importlib.util.find_spec("tensorboard") is None:
            raise UserError("logger=tensorboard needs TensorBoard: run `pip install tensorboard`.")
        self._folder = folder / "tensorboard"
        self._config = config
        self._writer: Any = None

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        writer = self._begun(step)
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)

    @rank_zero_only
    def log_picture(self, name: str, path: Path, step: int) -> None:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        self._begun(step).add_image(name, pixels, step, dataformats="HWC")

    @rank_zero_only
    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _begun(self, step: int | None) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # some seconds that other runs need not spend

            self._writer = SummaryWriter(str(self._folder), purge_step=step)
            self._writer.add_text("config", f"    {OmegaConf.to_yaml(dict(self._config))}".replace("\n", "\n    "))
        return self._writer
