"""Search over settings: `python experiments/sweep.py sweep=glow model=glow data=cifar10 n_trials=50`, or `--help`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from genmodels.doors.sweep import main

if __name__ == "__main__":
    main()
