"""Ordinary networks and layers; no probability here."""

from genmodels.networks.made_net import MADENet
from genmodels.networks.mlp import MLP
