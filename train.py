"""Train a generative model: `python train.py model=glow data=cifar10`, `python train.py --help`."""

from genmodels.doors.train import main

if __name__ == "__main__":
    main()
