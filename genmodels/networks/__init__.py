"""Ordinary networks and layers; no probability here."""

from genmodels.networks.causal_transformer import CausalTransformer
from genmodels.networks.fields import ConvField, Field, MLPField, UNetField
from genmodels.networks.made_net import MADENet
from genmodels.networks.mlp import MLP
