"""A config-driven experiment framework for deep generative models."""

from genmodels._torchvision import declare_missing_operators

# Before anything can import pytorch_lightning or torchvision: both fail without the operators.
declare_missing_operators()
