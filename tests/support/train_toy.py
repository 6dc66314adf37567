"""Train the toy in a process of its own, which a test stops: train_toy.py FOLDER OPTIONS."""

import genmodels  # isort: skip  # noqa: F401  # before anything that imports torchvision

import json
import sys
from pathlib import Path

import torch
from training_toys import train

from genmodels.errors import Interrupted

torch.set_num_threads(1)
try:
    train(Path(sys.argv[1]), **json.loads(sys.argv[2]))
except Interrupted as stop:
    print(stop, flush=True)
    sys.exit(130)
