"""Priors, pixel likelihoods and dequantisation."""

from genmodels.distributions.base import Base, StandardLogistic, StandardNormal
from genmodels.distributions.dequantization import Dequantization, UniformDequantization, VariationalDequantization
from genmodels.distributions.made_mog import MixtureMADE

__all__ = [
    "Base",
    "Dequantization",
    "MixtureMADE",
    "StandardLogistic",
    "StandardNormal",
    "UniformDequantization",
    "VariationalDequantization",
]
