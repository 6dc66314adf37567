"""Variational autoencoders: latents that a network infers, in one layer or many."""
