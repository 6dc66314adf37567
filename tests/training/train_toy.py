"""Train the toy in a process of its own, which a test stops: train_toy.py FOLDER MAX_EPOCHS [slow]."""

import genmodels  # isort: skip  # noqa: F401  # before anything that imports torchvision

import sys
from pathlib import Path

import torch
from training_toys import train

from genmodels.errors import Interrupted

torch.set_num_threads(1)
try:
    train(Path(sys.argv[1]), max_epochs=int(sys.argv[2]), every_n_steps=3)
except Interrupted as stop:
    print(stop, flush=True)
    sys.exit(130)
