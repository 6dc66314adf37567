"""A user's package of its own with two families that genmodels does not have: a GAN and a latent-variable model."""

from toy_families.gan import GANModule, MinimaxGame, PixelMeanError, ToyGAN
from toy_families.vae import ToyVAE
