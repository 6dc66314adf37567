"""Train the toy in a process of its own, which a test stops: train_toy.py FOLDER OPTIONS [STEP].

After that optimiser step the process kills itself.
"""

import genmodels  # isort: skip  # noqa: F401  # before anything that imports torchvision

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from training_toys import train

from genmodels.errors import Interrupted


class Kill(pl.Callback):
    """SIGKILL after step `step`, when checkpoint and rows of that step are written."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


torch.set_num_threads(1)
try:
    train(Path(sys.argv[1]), **json.loads(sys.argv[2]), extra=[Kill(int(step)) for step in sys.argv[3:]])
except Interrupted as stop:
    print(stop, flush=True)
    sys.exit(130)
