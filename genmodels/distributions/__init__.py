"""Priors, pixel likelihoods and dequantisation."""

from genmodels.distributions.base import Base, StandardLogistic, StandardNormal
from genmodels.distributions.dequantization import UniformDequantization

__all__ = ["Base", "StandardLogistic", "StandardNormal", "UniformDequantization"]
