"""The front doors: thin Hydra mains, no logic. In the clone `python train.py`, installed `genmodels-train`."""
