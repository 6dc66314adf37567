"""Priors, pixel likelihoods and dequantisation."""

from genmodels.distributions.base import Base, StandardLogistic, StandardNormal
from genmodels.distributions.dequantization import Dequantization, UniformDequantization, VariationalDequantization

__all__ = [
    "Base",
    "Dequantization",
    "StandardLogistic",
    "StandardNormal",
    "UniformDequantization",
    "VariationalDequantization",
]
